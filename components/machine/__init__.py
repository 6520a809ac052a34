"""What one machine has once: its home, child processes, locks, git; and what its system says."""
