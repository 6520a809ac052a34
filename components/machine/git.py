"""Git as a program: one way to run it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def git(*arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str | None:
    """What git prints, None where it fails or there is no repository."""
    answer = subprocess.run(
        ["git", *arguments], capture_output=True, text=True, check=False, cwd=cwd, env=os.environ | (env or {})
    )
    return answer.stdout if answer.returncode == 0 else None


def git_bytes(*arguments: str, told: bytes) -> bytes:
    """What git prints, which may be no text, when it reads `told`; nothing where it fails."""
    answer = subprocess.run(["git", *arguments], input=told, capture_output=True, check=False)
    return answer.stdout if answer.returncode == 0 else b""
