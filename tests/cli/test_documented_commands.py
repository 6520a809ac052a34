"""Every command that README and docs show exists: verb and options are held against the programs' own parsers."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from tests.support.workspace import REPO, make_workspace

PAGES = [REPO / "README.md", *sorted((REPO / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(?:sh|bash|shell)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:lookout|make|dvc|mlflow|prefect|python -m|python benchmarks) [^`]*)`")
PROGRAMS = ("lookout", "make", "dvc", "mlflow", "python", "pip", "prefect")
QUIET = ("export", "mkdir", "echo", "source", "curl", "unzip", "base64", "git")
"""Commands of the shell and of others, which are here for their arguments' sake."""


def commands() -> list[tuple[str, str]]:
    """(page, command) of every shell line of a fenced block, and of every command in running text."""
    found: list[tuple[str, str]] = []
    for page in PAGES:
        text = page.read_text()
        lines = [line for block in FENCE.findall(text) for line in block.splitlines()]
        lines += INLINE.findall(FENCE.sub("", text))
        for line in lines:
            parts = line.split("#")[0].split(" | ")
            words = [re.sub(r"^(?:[A-Z_]+=\S+ )+", "", one.strip()) for part in parts for one in part.split(" && ")]
            found += [(page.name, one) for one in words if one.split(" ")[0] in (*PROGRAMS, *QUIET)]
    return found


COMMANDS = commands()


def verbs() -> dict[str, object]:
    from components.cli.main import app

    group = typer.main.get_command(app)
    return dict(group.commands)  # pyright: ignore[reportAttributeAccessIssue]


def options_of(command: object) -> set[str]:
    return {"--help"} | {word for one in command.params for word in (*one.opts, *one.secondary_opts)}  # pyright: ignore


def check_lookout(words: list[str]) -> None:
    known = verbs()
    assert words[1] in known, f"no verb {words[1]}"
    wrong = [w for w in words[2:] if w.startswith("--") and w.partition("=")[0] not in options_of(known[words[1]])]
    assert not wrong, f"lookout {words[1]} has no {wrong}"


def check_make(words: list[str]) -> None:
    targets = set(re.findall(r"^([a-z -]+):", (REPO / "Makefile").read_text(), re.MULTILINE))
    known = {name for line in targets for name in line.split()}
    assert all(word in known for word in words[1:] if "=" not in word), words


def check_program(words: list[str]) -> None:
    """dvc, mlflow and prefect: the subcommand and the long options, by the program's own parser."""
    name, rest = words[0], words[1:]
    options = [word.partition("=")[0] for word in rest if word.startswith("--")]
    if name == "dvc":
        from dvc.cli import DvcParserError
        from dvc.cli.parser import get_main_parser

        try:
            get_main_parser().parse_args([word.strip("[]") for word in rest])
        except DvcParserError as error:
            raise AssertionError(f"{words}: {error}") from error
        return
    if name == "mlflow":
        from mlflow.cli import cli as command
    else:
        from prefect.cli import app

        command = typer.main.get_command(app) if isinstance(app, typer.Typer) else None
    if command is None:
        return
    for word in rest:
        if hasattr(command, "commands") and not word.startswith("-"):
            command = command.get_command(None, word)
            assert command is not None, words
    assert set(options) <= options_of(command), words


def check_python(words: list[str]) -> None:
    if words[1] == "-m":
        path = REPO / words[2].replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__init__.py").exists(), words
    else:
        assert (REPO / words[1]).exists(), words


CHECKS = {"lookout": check_lookout, "make": check_make, "python": check_python,
          "dvc": check_program, "mlflow": check_program, "prefect": check_program}  # fmt: skip


SHOWN = [page for page in PAGES if any(name == page.name for name, _ in COMMANDS)]


@pytest.mark.parametrize("page", SHOWN, ids=[page.name for page in SHOWN])
def test_every_command_of_a_page_has_a_verb_and_options_that_exist(page: Path) -> None:
    wrong: list[str] = []
    for name, command in COMMANDS:
        words = shlex.split(command.replace("'*.dvc'", "x"), posix=True) if name == page.name else []
        if words and len(words) > 1 and words[0] in CHECKS and "..." not in words:
            try:
                CHECKS[words[0]](words)
            except (AssertionError, KeyError) as error:
                wrong.append(f"{command}: {error}")
    assert wrong == []


def test_the_commands_are_found() -> None:
    checked = [command for _, command in COMMANDS if command.split(" ")[0] in CHECKS]
    print(f"{len(COMMANDS)} commands in {len(PAGES)} pages, {len(checked)} held against their programs")  # noqa: T201
    assert len(checked) > 80
    assert any(command.startswith("lookout retrain --set") for command in checked)


CHEAP = ("lookout compose ", "make help")
"""What changes a file or two, or nothing: it is run as it is written."""


@pytest.mark.parametrize("command", sorted({one for _, one in COMMANDS if one.startswith(CHEAP) and "mine" not in one}))
def test_a_cheap_command_runs_as_it_is_written(command: str, tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "checkout")
    words = shlex.split(command)
    run = [sys.executable, "-m", "components.cli.main", *words[1:]] if words[0] == "lookout" else words
    where = folder if words[0] == "lookout" else REPO
    answer = subprocess.run(
        run, cwd=where, env=os.environ | {"PYTHONPATH": str(REPO)}, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
