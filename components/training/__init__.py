"""Policies and their training: the only home of torch and TRL."""
