"""Thin mains, one a stage of dvc.yaml: read the arguments and the params, call the room that does the work."""
