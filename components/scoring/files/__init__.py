"""Anybody's results from files, scored without a model."""
