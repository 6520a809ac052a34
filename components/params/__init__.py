"""What params.yaml may hold. Nothing is imported here: a stage depends on the sections that it reads."""
