"""A dvc.lock that a kill has torn is put right by one command, and every verb that needs it names that command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from components.cli import main as cli
from components.errors import DataError, LookoutError
from components.graph.kept_lock import KEPT, TORN, check, keep, repair, repairs
from components.machine.dvc import IN_USE, dvc
from components.operations import stage
from tests.graph.test_dvc_lock import WHOLE

HALF = WHOLE[: WHOLE.index("md5") + 2]


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty checkout as the working folder, in which DVC starts a stage."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "prompts")
    return tmp_path


TWO = WHOLE + WHOLE[WHOLE.index("  prompts:") :].replace("  prompts:", "  sft:").replace("data/prompts", "models/sft")
"""Of two stages: what is behind a cut in the first is lost without a word."""


def test_a_lock_that_is_cut_anywhere_is_refused_with_the_command_and_put_back_by_it() -> None:
    lock = Path("dvc.lock")
    lock.write_text(TWO)
    keep()
    between = TWO.index("  sft:")
    for end in [end for end in range(len(TWO)) if (end % 29 == 0 or TWO[end - 1] == "\n") and end != between]:
        lock.write_text(TWO[:end])
        with pytest.raises(DataError, match="`lookout doctor --repair` puts the last whole one back"):
            check()
        said = repair()
        assert said is not None
        assert said.startswith("dvc.lock was torn: the last whole one is back")
        assert lock.read_text() == TWO
        assert TORN.read_text() == TWO[:end]
    assert repair() is None


def test_a_lock_that_dvc_has_written_anew_is_not_torn() -> None:
    lock = Path("dvc.lock")
    lock.write_text(TWO)
    keep()
    for text in (WHOLE, TWO.replace("fedcba98", "00000000"), WHOLE.replace("fedcba98", "00000000")):
        lock.write_text(text)
        assert repair() is None


def test_a_stage_does_not_keep_a_cut_lock_that_dvc_has_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("dvc.lock").write_text(TWO)
    keep()
    for cut in (TWO[: TWO.rindex(".dir")], TWO[: TWO.rindex("    outs:")]):
        Path("dvc.lock").write_text(cut)
        with pytest.raises(DataError, match="`lookout doctor --repair`"):
            keep()
        monkeypatch.setattr(sys, "argv", ["stage", "components.stages.prompts"])
        monkeypatch.setattr(stage, "die_with_parent", lambda: True)
        monkeypatch.setattr(stage, "perform", pytest.fail)
        with pytest.raises(SystemExit):
            stage.main()
        assert capsys.readouterr().err.startswith("error: dvc.lock: it is not whole")
        assert KEPT.read_text() == TWO


def test_a_torn_lock_of_which_no_whole_one_is_kept_is_set_aside() -> None:
    Path("dvc.lock").write_text(HALF)
    said = repair()
    assert said is not None
    assert "no whole one is kept" in said
    assert not Path("dvc.lock").exists()
    assert TORN.read_text() == HALF
    assert repair() is None


@pytest.mark.parametrize("cut", ["", '{"read": {"a": [{"pid": 1, "cm', '{"read": {}}'])
def test_a_torn_record_of_use_stops_dvc_and_is_taken_away(checkout: Path, cut: str) -> None:
    subprocess.run(["git", "init", "-q"], cwd=checkout, check=True)
    dvc("init", "-q")
    Path("a").write_text("a")
    IN_USE.write_text(cut)
    torn = cut != '{"read": {}}'
    if torn:
        with pytest.raises(LookoutError, match=r"RWLock-file.*`lookout doctor --repair` takes it away"):
            dvc("add", "a")
    assert [said.split(" (")[0] for said in repairs()] == ([f"{IN_USE} was torn"] if torn else [])
    assert IN_USE.exists() is not torn
    dvc("add", "a")
    assert repairs() == []


def test_a_torn_record_that_a_command_holds_is_left_alone(checkout: Path) -> None:
    from dvc.lock import make_lock

    IN_USE.parent.mkdir(parents=True)
    IN_USE.write_text("{")
    with make_lock(str(IN_USE.with_name("rwlock.lock"))), pytest.raises(DataError, match="held by a command of DVC"):
        repairs()
    assert IN_USE.read_text() == "{"


def test_a_stage_that_was_started_by_hand_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_STAGE")
    Path("dvc.lock").write_text(HALF)  # nobody has read it: it may be torn
    keep()
    assert not KEPT.exists()


def test_a_merge_is_not_decided_for_its_owner() -> None:
    Path("dvc.lock").write_text(WHOLE)
    keep()
    merged = f"<<<<<<< HEAD\n{WHOLE}=======\n{WHOLE}>>>>>>> other\n"
    Path("dvc.lock").write_text(merged)
    with pytest.raises(DataError, match="conflict markers"):
        repair()
    assert Path("dvc.lock").read_text() == merged


def test_the_commands_say_it_and_mend_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Path("dvc.lock").write_text(WHOLE)
    keep()
    Path("dvc.lock").write_text(HALF)
    monkeypatch.setattr(sys, "argv", ["lookout", "validate", "--dataset", "crowd"])
    with pytest.raises(SystemExit):
        cli.main()
    assert "`lookout doctor --repair` puts the last whole one back" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["lookout", "doctor", "--repair"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 0
    assert "the last whole one is back" in capsys.readouterr().out
    assert Path("dvc.lock").read_text() == WHOLE
