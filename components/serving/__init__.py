"""What travels with a registered version and answers in its place."""
