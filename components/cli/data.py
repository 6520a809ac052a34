"""Datasets: adding, fetching, validating, and a profile that fits them."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from components.params.datasets import DatasetParams

app = typer.Typer()
verb = partial(app.command, rich_help_panel="data")


class Role(StrEnum):
    """What a dataset is for."""

    train = "train"
    eval = "eval"
    both = "both"


@verb("add-dataset")
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


@verb("remove-dataset")
def remove_dataset(name: Annotated[str, typer.Argument(help="what it was called in add-dataset")]) -> None:
    """Take an added dataset's entry out of conf/ and params.yaml; its files stay where they lie."""
    from components.datasets.add import remove_dataset as remove

    root = remove(name)
    typer.echo(f"{name} is no dataset of params.yaml any more; its files stay in {root}\n"
               f"no longer tracked either: dvc remove {root}.dvc (where add-dataset tracked it)")  # fmt: skip


@verb("fetch-images")
def fetch_images(dataset: Annotated[str, typer.Option(help="a name of datasets: in params.yaml")]) -> None:
    """Download the images of a dataset that is published as URLs; each is verified by its SHA-256."""
    from components.datasets.fetch import REPORT
    from components.datasets.fetch import fetch_images as fetch

    entry = _entry(dataset)
    report = fetch(dataset, entry)
    typer.echo(f"{report['images']} of {report['wanted']} images are there, {report['fetched_now']} fetched now")
    for reason, count in report["reasons"].items():
        typer.echo(f"{count:>7} not to be had: {reason}")
    typer.echo(f"{Path(entry.root) / REPORT} names each; SHA-256 of the list {report['sha256_of_the_list']}")


@verb()
def validate(dataset: Annotated[str, typer.Option(help="a name of datasets: in params.yaml")]) -> None:
    """Ingest and validate one dataset, hold it against its previous version, and say where its report lies."""
    import subprocess

    from components.errors import QualityError
    from components.graph.kept_lock import check
    from components.machine.dvc import DVC, stage_environment

    check()
    _entry(dataset)
    if subprocess.run([*DVC, "repro", f"validate@{dataset}"], env=stage_environment(), check=False).returncode:
        raise QualityError(f"{dataset} did not pass; the stage's own sentence stands above")
    typer.echo(f"reports/validation/{dataset}/index.html")
    _print_drift(dataset, None)


@verb()
def drift(
    dataset: Annotated[str, typer.Option(help="a name of datasets: in params.yaml")],
    since: Annotated[str | None, typer.Option(help="git revision; the previous version where it is not given")] = None,
) -> None:
    """Hold a validated dataset against an earlier version of it, and say what has moved."""
    _entry(dataset)
    _print_drift(dataset, since)


def _entry(dataset: str) -> DatasetParams:
    """Raises ParamsError that lists the datasets that are there."""
    from components.params.reading import entry_of
    from components.params.whole import load_params

    return entry_of(load_params().datasets, "datasets", dataset)


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


@verb("new-profile")
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
