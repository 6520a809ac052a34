"""Lookout's parts, from pure functions on boxes to the stages that dvc.yaml names."""
