"""GRPO that pays for each prompt and its image once a group: rollouts and the training step."""
