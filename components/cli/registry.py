"""Registered versions: what they were made from, who is champion, what they answer."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from components.machine.terminal import plain

app = typer.Typer()
verb = partial(app.command, rich_help_panel="registry")
TREE_COLUMNS = 160


@verb()
def register() -> None:
    """Register models/grpo with its lineage; repairs a lost registry from what DVC holds."""
    from components.model_registry.register import register_model

    registration = register_model()
    typer.echo(f"{registration['model_uri']} (alias {registration['alias']})")


@verb()
def trace(
    reference: Annotated[
        str,
        typer.Argument(help="models:/lookout/1, models:/lookout@champion, @champion, 1, a run's ID, a model's folder"),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
    as_dot: Annotated[bool, typer.Option("--dot", help="for Graphviz")] = False,
    page: Annotated[Path | None, typer.Option("--html", help="write a picture of it to this file")] = None,
) -> None:
    """Print what a registered version was made from."""
    import json

    from components.model_registry.trace import lineage_tree
    from components.model_registry.trace import trace as look_up

    lineage = look_up(reference)
    if as_json:
        typer.echo(json.dumps(lineage, indent=2, sort_keys=True))
        return
    from components.model_registry import picture

    if as_dot:
        typer.echo(picture.dot(lineage))
        return
    if page is not None:
        from components.store.atomic import atomic_file

        with atomic_file(page) as partial:
            partial.write_text(picture.page(lineage))
        typer.echo(f"{page}")
        return
    from rich.console import Console

    console = Console(highlight=False)
    console.width = max(console.width, TREE_COLUMNS)  # a digest that is cut proves nothing
    console.print(lineage_tree(lineage))


@verb()
def verify(
    reference: Annotated[str, typer.Argument(help="as for trace")],
    deep: Annotated[bool, typer.Option("--deep", help="fetch the data and hash its own bytes")] = False,
    unseen_ok: Annotated[bool, typer.Option("--unseen-ok", help="exit code 0 also where a claim is unseen")] = False,
) -> None:
    """Hash again what a version claims; exit code 1 where a claim is broken, 2 where one cannot be looked at here."""
    from components.model_registry.recall import warning
    from components.model_registry.registry import connect, find_version, uri_of
    from components.model_registry.verify import holds, unseen
    from components.model_registry.verify import verify as check

    version = find_version(connect(), reference)
    findings = check(uri_of(version), deep)
    words = {True: "holds", False: "BROKEN", None: "unseen"}
    whole = [one for one in findings if one.holds and one.claim.startswith("model file ")]
    typer.echo(f"{words[True]:<7} {len(whole)} model files: the bytes that the statement names")
    for finding in findings:
        if finding not in whole:
            typer.echo(plain(f"{words[finding.holds]:<7} {finding.claim}: {finding.seen}"))
    if said := warning(version):
        typer.echo(plain(f"RECALLED {said.removeprefix('recalled: ')}"))
    if not holds(findings):
        raise typer.Exit(1)
    if unseen(findings):
        typer.echo(f"not proven: {len(unseen(findings))} claims could not be looked at here")
        raise typer.Exit(0 if unseen_ok else 2)


@verb("used-by")
def used_by(
    what: Annotated[
        str, typer.Argument(help="digest or commit (7 characters do), dataset, image's SHA-256, path or name, or base")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Every version that was made from something, newest first; exit code 2 where it cannot be looked up."""
    import json

    from components.errors import RecallError
    from components.model_registry.index import used_by as look_up

    try:
        found, unanswered = look_up(what), None
    except RecallError as error:
        found, unanswered = error.found, error
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        for one in found:
            typer.echo(plain(f"models:/{one['name']}/{one['version']}  {one['as']}"))
        if not found and unanswered is None:
            typer.echo(f"no registered version was made from {what}")
    if unanswered is not None:
        typer.echo(plain(f"error: {unanswered}"), err=True)
        raise typer.Exit(2)


@verb()
def diff(
    before: Annotated[str, typer.Argument(help="as for trace")],
    after: Annotated[str, typer.Argument(help="as for trace")],
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """What changed between two versions."""
    import json

    from components.model_registry.diff import diff as compare
    from components.model_registry.diff import lines

    found = compare(before, after)
    typer.echo(json.dumps(found, indent=2) if as_json else "\n".join(plain(line) for line in lines(found)))


@verb()
def predict(
    images: Annotated[list[Path], typer.Argument(help="pictures to find people in")],
    model: Annotated[str, typer.Option(help="as for trace, or a packaged model's folder")],
    out: Annotated[Path, typer.Option(help="folder of the copies with boxes drawn on them")] = Path("predictions"),
    task: Annotated[str, typer.Option(help="detect, ground, count or read; the model's first where not given")] = "",
    phrase: Annotated[str, typer.Option(help="what to ask for: a sentence, or the word for what is counted")] = "",
) -> None:
    """Ask a registered model about pictures: its answer drawn on a copy, and as JSON on the terminal."""
    import json

    from components.model_registry.predict_images import predict_images

    asked = {key: value for key, value in (("task", task), ("phrase", phrase)) if value}
    typer.echo(json.dumps(predict_images(model, images, out, asked), indent=2))


@verb()
def promote(
    reference: Annotated[str, typer.Argument(help="as for trace")],
    force: Annotated[bool, typer.Option("--force", help="overrule the gates")] = False,
    reason: Annotated[str, typer.Option(help="why, kept with the record")] = "",
    unseen_ok: Annotated[bool, typer.Option("--unseen-ok", help="also where a claim cannot be looked at here")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show the gates and move nothing")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Make a version the champion where every gate passes; exit code 1 where one does not."""
    import json
    from dataclasses import asdict

    from components.model_registry.promote import compare
    from components.model_registry.promote import promote as move
    from components.model_registry.rescore import scores_of

    outcome = compare(reference, scores_of) if dry_run else move(reference, scores_of, force, reason, unseen_ok)
    if as_json:
        typer.echo(json.dumps(asdict(outcome)))
        return
    for gate in outcome.gates:
        typer.echo(plain(f"{'passed' if gate.passed else 'FAILED'}  {gate.name}: {gate.seen} (want {gate.wanted})"))
    if outcome.promoted:
        typer.echo(f"{outcome.version} is champion; before: {outcome.before or 'nobody'}")
        return
    failed = sum(not gate.passed for gate in outcome.gates)
    typer.echo(
        f"{outcome.version} is not promoted ({failed} gates failed); champion stays {outcome.before or 'nobody'}"
    )
    raise typer.Exit(1 if failed else 0)


@verb()
def rollback(
    force: Annotated[bool, typer.Option("--force", help="also where it was recalled")] = False,
    reason: Annotated[str, typer.Option(help="why, kept with the record")] = "",
    unseen_ok: Annotated[bool, typer.Option("--unseen-ok", help="also where a claim cannot be looked at here")] = False,
) -> None:
    """Make the previous champion the champion again, where its lineage holds and nothing in it was recalled."""
    from components.model_registry.promote import rollback as go_back

    champion, previous = go_back(force, reason, unseen_ok)
    typer.echo(f"{champion} is champion again; previous is now {previous or 'nobody'}")


@verb()
def rescore(
    reference: Annotated[str, typer.Argument(help="as for trace")] = "@champion",
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Score a version on the test images that lie here now, beside what it had when it was registered."""
    import json

    from components.model_registry.rescore import rescore as score_again

    found = score_again(reference)
    if as_json:
        typer.echo(json.dumps(found))
        return
    typer.echo(f"{found['version']}: {found['metric']} {found['before']:.4f} at registration, {found['now']:.4f} on "
               f"{found['images']} images now: {found['now'] - found['before']:+.4f}")  # fmt: skip


@verb()
def taint(
    what: Annotated[str, typer.Argument(help="as for used-by")],
    reason: Annotated[str, typer.Option(help="why, kept on each version")],
    undo: Annotated[bool, typer.Option("--undo", help="take the mark away again")] = False,
) -> None:
    """Mark every version made from something recalled; promotion and rollback refuse them."""
    from components.errors import RecallError
    from components.model_registry import recall

    try:
        found, unanswered = (recall.undo if undo else recall.taint)(what, reason), None
    except RecallError as error:
        found, unanswered = sorted({f"models:/{one['name']}/{one['version']}" for one in error.found}), error
    for name in found:
        typer.echo(f"{name} is {'no longer ' if undo else ''}tainted")
    if not undo and (champion := recall.champion_among(found)):
        typer.echo(f"the champion is among them ({champion}): lookout rollback")
    if unanswered is not None:
        typer.echo(plain(f"error: {unanswered}"), err=True)
        raise typer.Exit(2)
    if not found:
        typer.echo(f"no registered version was made from {what}")


@verb()
def reproduce(
    reference: Annotated[str, typer.Argument(help="as for trace")],
    into: Annotated[Path | None, typer.Option(help="folder of the worktree, kept; else one that is removed")] = None,
    start: Annotated[str, typer.Option("--from", help="first stage to run again")] = "ingest",
) -> None:
    """Make a version again and compare the weights; exit code 1 where they differ."""
    import logging
    import tempfile

    from components.graph.worktree import remove_worktree
    from components.model_registry.reproduce import reproduce as make

    logging.getLogger("lookout").setLevel(logging.INFO)
    folder = into or Path(tempfile.mkdtemp(prefix="lookout-reproduce-")) / "checkout"
    try:
        made = make(reference, folder, start)
    finally:
        if into is None:
            remove_worktree(folder)
    for name, digest in made.wanted.items():
        typer.echo(f"{name}\n  registered {digest}\n  made again {made.found.get(name, 'not there')}")
    for line in made.other_environment:
        typer.echo(f"another environment: {line}")
    if not made.same:
        typer.echo(f"not the same; the first stage that differs: {made.first_difference or 'none'}")
        raise typer.Exit(1)
    typer.echo(f"{made.version} is made again, byte for byte")


@verb()
def gc(
    remove: Annotated[bool, typer.Option("--remove", help="remove it; without, it is only listed")] = False,
) -> None:
    """List, or remove, runs, checkpoints and cache files that no version needs."""
    from components.model_registry.gc import collect

    garbage = collect(dry_run=not remove)
    does = "Removed" if remove else "Would remove"
    typer.echo(f"{does} {garbage.cache or 'nothing of the cache'}.")
    typer.echo(f"{does} {len(garbage.runs)} runs without a version {' '.join(garbage.runs[:5])}".rstrip())
    names = " ".join(path.name for path in garbage.checkpoints[:5])
    typer.echo(f"{does} {len(garbage.checkpoints)} resume points {names}".rstrip())
    if not remove:
        typer.echo("Nothing was removed: --remove does it.")


@verb()
def export(
    reference: Annotated[str, typer.Argument(help="as for trace")],
    folder: Annotated[Path, typer.Argument(help="a new folder")],
) -> None:
    """Write a version as a plain Hugging Face folder, with its model card and statement."""
    from components.model_registry.export import export as write

    typer.echo(f"{write(reference, folder)}")
