"""Lineage, packaging and registration in MLflow."""
