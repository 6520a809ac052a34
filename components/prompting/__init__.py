"""Validated scenes -> questions with answers: whose boxes count, which samples are taken, what fits the budget."""
