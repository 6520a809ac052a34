"""Prefect only, no numerics: the same stages that dvc.yaml has, run, scheduled and seen."""
