"""The `lookout` command: thin; every verb calls a function that a program can call too."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from components.core.words import Task
from components.errors import LookoutError
from components.machine.terminal import plain

TREE_COLUMNS = 160
SHUFFLES = 20


class Role(StrEnum):
    """What a dataset is for."""

    train = "train"
    eval = "eval"
    both = "both"


app = typer.Typer(help="Teach a vision-language model to see every person in a crowd.", no_args_is_help=True,
                  add_completion=False, pretty_exceptions_enable=False)  # fmt: skip


@app.command()
def compose(profile: Annotated[str, typer.Argument(help="a file of conf/profile, without .yaml")]) -> None:
    """Write params.yaml from a profile."""
    from components.graph.compose import compose as write

    write(profile)
    typer.echo(f"params.yaml is now the profile {profile}; `dvc repro` runs what that changes")


@app.command()
def register() -> None:
    """Register models/grpo with its lineage; repairs a lost registry from what DVC holds."""
    from components.model_registry.register import register_model

    registration = register_model()
    typer.echo(f"{registration['model_uri']} (alias {registration['alias']})")


@app.command()
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


@app.command()
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


@app.command("used-by")
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


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
def rollback(
    force: Annotated[bool, typer.Option("--force", help="also where it was recalled")] = False,
    reason: Annotated[str, typer.Option(help="why, kept with the record")] = "",
    unseen_ok: Annotated[bool, typer.Option("--unseen-ok", help="also where a claim cannot be looked at here")] = False,
) -> None:
    """Make the previous champion the champion again, where its lineage holds and nothing in it was recalled."""
    from components.model_registry.promote import rollback as go_back

    champion, previous = go_back(force, reason, unseen_ok)
    typer.echo(f"{champion} is champion again; previous is now {previous or 'nobody'}")


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
def export(
    reference: Annotated[str, typer.Argument(help="as for trace")],
    folder: Annotated[Path, typer.Argument(help="a new folder")],
) -> None:
    """Write a version as a plain Hugging Face folder, with its model card and statement."""
    from components.model_registry.export import export as write

    typer.echo(f"{write(reference, folder)}")


@app.command("add-dataset")
def add_dataset(
    kind: Annotated[
        str,
        typer.Option(
            "--format",
            help="crowdhuman, citypersons, wider_pedestrian, uavdt, coco, pixmo_count, refcoco, fox or image_text",
        ),
    ],
    root: Annotated[str, typer.Option(help="the folder that the download was unpacked to, or the URL of one")],
    name: Annotated[str, typer.Option(help="what it is to be called in params.yaml")],
    role: Annotated[Role, typer.Option(help="train on it, evaluate on it, or both")] = Role.both,
    licence: Annotated[str, typer.Option(help="its terms, for the lineage")] = "unknown",
    split: Annotated[
        list[str] | None, typer.Option(help="train=FILE, where the usual names do not fit; several times for several")
    ] = None,
    word: Annotated[
        list[str] | None,
        typer.Option("--class", help="WORD=LABEL, several times: a label, ignore or other; *: the rest"),
    ] = None,
    rows_without_class: Annotated[
        bool, typer.Option("--rows-without-class", help="wider_pedestrian: rows hold x y w h, not class x y w h")
    ] = False,
    track: Annotated[bool, typer.Option(help="have DVC add or import the folder")] = True,
    force: Annotated[bool, typer.Option("--force", help="replace an entry of that name that differs")] = False,
) -> None:
    """Make a downloaded dataset part of the pipeline: check its layout, write its entry, track its digest."""
    from components.datasets.add import Wish
    from components.datasets.add import add_dataset as add
    from components.datasets.layouts import LAYOUTS
    from components.params.whole import load_params

    chosen: dict[str, list[str]] = {}
    for key, file in _pairs(split or [], "--split", "train=FILE, val=FILE or test=FILE", {"train", "val", "test"}):
        chosen.setdefault(key, []).append(file)
    files = {key: found[0] if len(found) == 1 else found for key, found in chosen.items()}
    classes = dict(_pairs(word or [], "--class", "WORD=LABEL"))
    path, said = add(name, root, Wish(kind, role.value, licence, files, classes, rows_without_class), track, force)
    entry, before = load_params().datasets[name], LAYOUTS[kind].next_step.format(name=name)
    typer.echo(f"{path} is written and params.yaml composed from it")
    for each in entry.annotations:
        typer.echo(f"{each}: {', '.join(entry.files(each))}")
    for line in said:
        typer.echo(line)
    typer.echo(f"next: {before and f'{before}, then '}dvc repro validate@{name}\n"
               f"then: reports/validation/{name}/index.html, and git add conf params.yaml '*.dvc'")  # fmt: skip


def _pairs(texts: list[str], option: str, wanted: str, keys: set[str] | None = None) -> list[tuple[str, str]]:
    """The KEY=VALUE of an option that may be given several times. Raises ParamsError for another text."""
    from components.errors import ParamsError

    pairs = [text.rpartition("=") if option == "--class" else text.partition("=") for text in texts]
    for text, (key, equals, value) in zip(texts, pairs, strict=True):
        if not (key and equals and value) or (keys is not None and key not in keys):
            raise ParamsError(f"{option} {text}: want {wanted}")
    return [(key, value) for key, _, value in pairs]


@app.command("remove-dataset")
def remove_dataset(name: Annotated[str, typer.Argument(help="what it was called in add-dataset")]) -> None:
    """Take an added dataset's entry out of conf/ and params.yaml; its files stay where they lie."""
    from components.datasets.add import remove_dataset as remove

    root = remove(name)
    typer.echo(f"{name} is no dataset of params.yaml any more; its files stay in {root}\n"
               f"no longer tracked either: dvc remove {root}.dvc (where add-dataset tracked it)")  # fmt: skip


@app.command("fetch-images")
def fetch_images(dataset: Annotated[str, typer.Option(help="a name of datasets: in params.yaml")]) -> None:
    """Download the images of a dataset that is published as URLs; each is verified by its SHA-256."""
    from components.datasets.fetch import REPORT
    from components.datasets.fetch import fetch_images as fetch
    from components.errors import ParamsError
    from components.params.whole import load_params

    datasets = load_params().datasets
    if dataset not in datasets:
        raise ParamsError(f"params.yaml has no datasets.{dataset}; it has {sorted(datasets)}")
    report = fetch(dataset, datasets[dataset])
    typer.echo(f"{report['images']} of {report['wanted']} images are there, {report['fetched_now']} fetched now")
    for reason, count in report["reasons"].items():
        typer.echo(f"{count:>7} not to be had: {reason}")
    typer.echo(
        f"{Path(datasets[dataset].root) / REPORT} names each; SHA-256 of the list {report['sha256_of_the_list']}"
    )


@app.command()
def validate(dataset: Annotated[str, typer.Option(help="a name of datasets: in params.yaml")]) -> None:
    """Ingest and validate one dataset, hold it against its previous version, and say where its report lies."""
    import subprocess

    from components.errors import QualityError
    from components.graph.kept_lock import check
    from components.machine.dvc import DVC, stage_environment

    check()
    if subprocess.run([*DVC, "repro", f"validate@{dataset}"], env=stage_environment(), check=False).returncode:
        raise QualityError(f"{dataset} did not pass; the stage's own sentence stands above")
    typer.echo(f"reports/validation/{dataset}/index.html")
    _print_drift(dataset, None)


@app.command()
def drift(
    dataset: Annotated[str, typer.Option(help="a name of datasets: in params.yaml")],
    since: Annotated[str | None, typer.Option(help="git revision; the previous version where it is not given")] = None,
) -> None:
    """Hold a validated dataset against an earlier version of it, and say what has moved."""
    _print_drift(dataset, since)


def _print_drift(dataset: str, since: str | None) -> None:
    from components.quality.drift import drift_of

    found = drift_of(dataset, since)
    if found is None:
        typer.echo(f"no drift to show: no commit's dvc.lock holds another validated version of {dataset}")
        return
    for name, value in sorted(found["population_stability"].items()):
        typer.echo(f"{name:<28} PSI {value:.3f}{'  moved' if name in found['moved'] else ''}")
    for name, values in sorted(found["counts"].items()):
        typer.echo(f"{name:<28} {values['before']} -> {values['after']}")
    typer.echo(f"reports/drift/{dataset}.html")


@app.command()
def reward(
    completions: Annotated[Path, typer.Option(help="a JSON object a line: group, completion, width, height, truth")],
    params: Annotated[Path, typer.Option(help="a file with a section rewards:")] = Path("params.yaml"),
    output: Annotated[Path | None, typer.Option(help="a file instead of the terminal")] = None,
) -> None:
    """Score completions without a model: every reward of every line, the total and why a line cannot be read."""
    import json

    from components.params.reading import load_section
    from components.params.rewards import RewardsParams
    from components.scoring.files.completions import score_file, write_scores

    lines = [json.dumps(scores) for scores in score_file(completions, load_section(RewardsParams, params))]
    text = "\n".join(lines) + "\n"
    if output is None:
        typer.echo(text, nl=False)
        return
    write_scores(text, output, completions)
    typer.echo(f"{len(lines)} completions scored into {output}", err=True)


class Protocol(StrEnum):
    """Which tables `lookout score` prints."""

    all = "all"
    coco = "coco"
    crowdhuman = "crowdhuman"
    citypersons = "citypersons"
    detection = "detection"


"""What the answers that `lookout score` reads are of."""


@app.command()
def score(
    truth: Annotated[Path, typer.Option(help="COCO instances; of another task a question a line, or its prompts")],
    predictions: Annotated[Path, typer.Option(help="COCO results, their order decides ties; or an answer a line")],
    task: Annotated[Task, typer.Option(help="what was asked")] = "detect",
    protocol: Annotated[Protocol, typer.Option(help="one table of detect, or all")] = Protocol.all,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
    lenient: Annotated[bool, typer.Option("--lenient", help="detect: drop and count what cannot be used")] = False,
    shuffles: Annotated[int, typer.Option(min=0, help="detect: random orders, where all scores are equal")] = SHUFFLES,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="detect: boxes of a lower score are left out")] = 0.0,
) -> None:
    """Score anybody's results: a detector's (COCO, CrowdHuman, CityPersons), or answers of ground, count, read."""
    import json

    if task == "detect":
        from components.scoring.files.detections import score_files, table

        scores = score_files(truth, predictions, protocol.value, lenient, shuffles, min_score)
    else:
        from components.scoring.files.task_answers import score_answers, table

        if lenient or protocol is not Protocol.all or shuffles != SHUFFLES or min_score:
            raise LookoutError(
                f"--lenient, --protocol, --min-score and --shuffles are of the task detect; leave them out for {task}"
            )
        scores = score_answers(task, truth, predictions)
    typer.echo(json.dumps(scores, indent=2) if as_json else table(scores))


@app.command()
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


@app.command()
def study(
    file: Annotated[Path, typer.Argument(help="a file of conf/study")],
    jobs: Annotated[int, typer.Option(min=1, max=8, help="runs at once")] = 1,
    out: Annotated[Path, typer.Option(help="folder of the table and the plot")] = Path("docs/studies"),
    only_table: Annotated[bool, typer.Option("--only-table", help="of what has been run so far")] = False,
) -> None:
    """Run every arm of a study under every seed, and write its table and plot; stopped, it goes on from there."""
    import logging

    from components.study.plan import load_study
    from components.study.results import collect, table, write_results
    from components.study.run import run_study

    logging.getLogger("lookout").setLevel(logging.INFO)
    plan = load_study(file)
    if not only_table:
        run_study(plan, jobs)
    results = collect(plan)
    write_results(results, plan, out)
    typer.echo(table(results, plan))


@app.command()
def summary() -> None:
    """Print the scores of base, SFT and GRPO, the version registered, and where to look."""
    from components.operations.summary import print_summary

    print_summary()


@app.command()
def up() -> None:
    """Start Prefect's and MLflow's servers and a worker on loopback, with deployments and schedules."""
    from components.operations.up import up as begin

    typer.echo("\n".join(begin()))


@app.command()
def down() -> None:
    """End what `lookout up` started, and nothing else."""
    from components.operations.up import down as end

    typer.echo("\n".join(end()))


@app.command()
def status() -> None:
    """Which of the servers run and answer; exit code 1 where one does not."""
    from components.operations.up import status as look

    rows = look()
    for name, healthy, where in rows:
        typer.echo(f"{name:<8} {'up' if healthy else 'down':<5} {where}")
    if not all(healthy for _, healthy, _ in rows):
        raise typer.Exit(1)


class Promotion(StrEnum):
    """What becomes of a retraining's challenger."""

    never = "never"
    if_better = "if-better"
    ask = "ask"


@app.command()
def retrain(
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE of params.yaml, like rewards.weights.looking=0.5")
    ] = None,
    profile: Annotated[str, typer.Option(help="a file of conf/profile; params.yaml as it is where not given")] = "",
    promote: Annotated[Promotion, typer.Option(help="what becomes of the challenger")] = Promotion.never,
    new_dataset: Annotated[bool, typer.Option("--new-dataset", help="a mapping may bring keys that are new")] = False,
) -> None:
    """Have the server that `make up` started run the pipeline, with other parameters where they are given."""
    from components.operations.retrain import retrain as schedule

    name, page = schedule(profile, settings or [], promote.value, new_dataset)
    typer.echo(f"{name} is scheduled: {page}")


@app.command("new-profile")
def new_profile(
    name: Annotated[str, typer.Argument(help="what it is to be called; a file of conf/profile")],
    datasets: Annotated[list[str], typer.Option(help="a validated dataset; several times for several")],
    start: Annotated[str, typer.Option("--from", help="the profile that everything else is taken from")] = "tiny",
    only: Annotated[bool, typer.Option("--only", help="leave every other dataset out")] = False,
) -> None:
    """Write a profile whose image sizes and token limits fit your data, and say what was chosen and why."""
    from components.datasets.new_profile import new_profile as write

    path, choices = write(name, start, datasets, only)
    for choice in choices:
        typer.echo(f"{choice.key:<32} {choice.value}: {choice.why}")
    typer.echo(f"{path} is written\nnext: lookout compose {name}, then dvc repro")


@app.command()
def doctor(
    repair: Annotated[bool, typer.Option("--repair", help="put the last whole dvc.lock back where it is torn")] = False,
) -> None:
    """Look at what a run needs of this machine and say what to do; exit code 1 where something will not work."""
    from components.operations.doctor import examine

    if repair:
        from components.graph.kept_lock import repair as put_back

        typer.echo(put_back() or "dvc.lock is whole: nothing to repair")
        return

    findings = examine()
    for one in findings:
        typer.echo(f"{one.verdict:<5} {one.what}: {one.seen}{f' -> {one.todo}' if one.todo else ''}")
    if any(one.verdict == "bad" for one in findings):
        raise typer.Exit(1)


def main() -> None:
    """Runs the command; a failure that the user can mend is one sentence and exit code 1."""
    import logging
    import os

    from components.machine.refusals import refusal
    from components.stages.running import QUIET

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
