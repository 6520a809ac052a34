"""The `lookout` command: a file a room, every verb calls a function that a program can call too."""

from __future__ import annotations

import sys

import typer

from components.cli import data, registry, running, scoring
from components.errors import LookoutError
from components.machine.terminal import plain

app = typer.Typer(help="Teach a vision-language model to see every person in a crowd.", no_args_is_help=True,
                  add_completion=False, pretty_exceptions_enable=False)  # fmt: skip
for room in (data, running, scoring, registry):
    app.add_typer(room.app)


def main() -> None:
    """Runs the command; a failure that the user can mend is one sentence and exit code 1."""
    import logging
    import os

    from components.machine.quiet import QUIET
    from components.machine.refusals import refusal

    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("lookout.reference").setLevel(logging.INFO)  # which version a short spelling names
    try:
        app()
    except LookoutError as error:
        typer.echo("\n".join(plain(line) for line in f"error: {error}".splitlines()), err=True)
        sys.exit(1)
    except Exception as error:
        sentence = refusal(error)
        if sentence is None:
            raise
        typer.echo(f"error: {sentence}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
