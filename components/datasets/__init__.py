"""A person's own dataset: its layout looked at, its entry written, its images fetched."""
