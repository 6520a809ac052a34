"""The tables between stages, a file a family. Nothing is imported here: a stage depends on what it reads and writes."""
