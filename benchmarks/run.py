"""Runs every benchmark in its quick form and writes docs/benchmarks.md with its plots: `make bench`.

Each script is a process of its own: one that fails costs its own tables only, is named on the page and at the end, and
makes this exit with 1. `--smoke` runs the forms that only check that the scripts work.
"""

from __future__ import annotations

import argparse
import ast
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.measuring import REPEATS, Form, Table, draw, load_tables

SCRIPTS = ("grpo_step", "predict", "rewards", "tasks", "metrics", "ingest", "registry", "overhead", "scaling")
LIMIT_S = 900
"""A script that takes longer is ended: it hangs. On an idle machine all of them take less than ten minutes."""
LIBRARIES = (
    "torch", "transformers", "trl", "accelerate", "numpy", "pycocotools", "faster-coco-eval", "pillow",
    "great-expectations", "dvc", "prefect", "mlflow",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """What a script gave; `failure` is a sentence, empty where it worked, `said` its last line then."""

    script: str
    seconds: float
    tables: list[Table]
    failure: str = ""
    said: str = ""


def run_script(script: str, form: Form, limit_s: float = LIMIT_S) -> Result:
    """The script in a session of its own, so that nothing it started outlives its limit."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "tables.json"
        command = [sys.executable, "-m", f"benchmarks.{script}", "--save", str(saved)]
        command += [] if form == "full" else [f"--{form}"]
        environment = os.environ | {"PYTHONPATH": ".", "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   text=True, start_new_session=True)  # fmt: skip
        try:
            _, said = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            return Result(
                script, time.monotonic() - begun, [], f"{script} took longer than {limit_s:g} s and was ended"
            )
        finally:
            _end_session(process)
        seconds = time.monotonic() - begun
        if process.returncode:
            last = (said.strip().splitlines() or ["it said nothing"])[-1]
            return Result(script, seconds, [], f"{script} failed with exit code {process.returncode}", last)
        return Result(script, seconds, load_tables(saved))


def _end_session(process: subprocess.Popen[str]) -> None:
    """Ends what is left of the script and its children."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def run_all(scripts: tuple[str, ...], form: Form) -> list[Result]:
    """One after the other, a line as each begins and ends."""
    results: list[Result] = []
    for number, script in enumerate(scripts, 1):
        print(f"{number} of {len(scripts)}: {script} ...", end=" ", flush=True)
        results.append(run_script(script, form))
        outcome = ": ".join(filter(None, [results[-1].failure or "done", results[-1].said]))
        print(f"{outcome} ({results[-1].seconds:.0f} s)", flush=True)
    return results


def page(results: list[Result], form: Form, load: float, plots: str) -> str:
    """The Markdown page; `plots` is the plots' folder as seen from it."""
    parts = [
        "# Benchmarks",
        f"`make bench` wrote this: the {form} form of every script in `benchmarks/`. Medians of wall-clock "
        f"time over {REPEATS[form]} turns (GRPO steps: one run each); both sides of a ratio were measured in the same "
        "run, taking turns. Numbers of one machine on one day.",
        machine(load),
    ]
    for result in results:
        command = f"python -m benchmarks.{result.script} --{form}"
        parts += [f"## {question_of(result.script)}", f"`{command}`, {result.seconds:.0f} s."]
        parts += [f"Not measured: {result.failure}."] if result.failure else []
        for table in result.tables:
            parts.append(table.markdown())
            if table.curve:
                parts.append(f"![{table.curve.title}]({plots}/{table.curve.name}.png)")
    return "\n\n".join(parts) + "\n"


def question_of(script: str) -> str:
    """The first line of its docstring, read and not imported: it may be what fails."""
    text = ast.get_docstring(ast.parse(Path(f"benchmarks/{script}.py").read_text()))
    return (text or script).splitlines()[0]


def machine(load: float) -> str:
    """Processor, memory, versions and date; no names of hosts or folders."""
    import psutil

    memory = psutil.virtual_memory().total / 2**30
    commit = git("rev-parse", "--short=10", "HEAD") or "unknown"
    changed = " with changes" if git("status", "--porcelain", "--untracked-files=no", "--", ":!docs") else ""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return "\n".join(
        [
            f"- {datetime.now(UTC):%Y-%m-%d}, commit {commit}{changed}",
            f"- {processor()}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GB of memory, {platform.system()}; "
            f"load average {load:.1f} when it began",
            f"- Python {platform.python_version()}, {libraries}",
        ]
    )


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False).stdout.strip()


def processor() -> str:
    """The CPU's model where the system tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", dest="form", action="store_const", const="smoke", default="quick")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder of benchmarks.md and its plots")
    chosen = parser.parse_args()
    load, begun = os.getloadavg()[0], time.monotonic()
    results = run_all(SCRIPTS, chosen.form)
    for table in (table for result in results for table in result.tables if table.curve):
        if table.curve:
            draw(table.curve, chosen.out / "benchmarks")
    (chosen.out / "benchmarks.md").write_text(page(results, chosen.form, load, "benchmarks"))
    print(f"{chosen.out / 'benchmarks.md'} written after {time.monotonic() - begun:.0f} s")
    failures = [result.failure for result in results if result.failure]
    if failures:
        sys.exit(f"error: {len(failures)} of {len(results)} benchmarks failed: {'; '.join(failures)}")


if __name__ == "__main__":
    main()
