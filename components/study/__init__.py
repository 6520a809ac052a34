"""A study: arms (params set one way or another) times seeds, run by `dvc exp run`, told as a table and a plot."""
