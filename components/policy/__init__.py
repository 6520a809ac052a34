"""A model folder and what it answers: made, loaded, launched, asked."""
