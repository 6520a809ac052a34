"""What reads dvc.yaml, dvc.lock and conf/: stages, their code dependencies, profiles, worktrees of commits."""
