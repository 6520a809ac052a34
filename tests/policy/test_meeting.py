"""Nothing listens beyond loopback while several processes of one machine work, and nothing there is unpickled."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest

from components.errors import TrainingError
from components.policy.meeting import Meeting
from tests.support.workspace import read_params, run_stage, start_stage, write_params

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc/net says who listens")
LOOPBACK = {"0100007F", "00000000000000000000000001000000"}


def listeners(pids: set[int]) -> dict[str, str]:
    """Address and port as /proc/net/tcp and tcp6 write them -> inode, of what these processes listen on."""
    held = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                held.add(str(link.readlink()))
            except OSError:
                continue
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return {row[1]: row[9] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in held}


def test_the_store_of_one_machine_listens_on_loopback_only() -> None:
    before = listeners({os.getpid()})
    info = Meeting("127.0.0.1:0", nodes=1, run_id="here", timeout_s=5).next_rendezvous()
    new = set(listeners({os.getpid()})) - set(before)
    assert {address.split(":")[0] for address in new} == {"0100007F"}
    assert (info.rank, info.world_size) == (0, 1)
    assert info.bootstrap_store_info is not None
    assert int(new.pop().split(":")[1], 16) == info.bootstrap_store_info.master_port


def test_machines_that_meet_at_a_named_address_are_counted() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{free.getsockname()[1]}"
    meetings = [Meeting(endpoint, nodes=2, run_id="both", timeout_s=5) for _ in range(3)]
    assert [meeting.next_rendezvous().rank for meeting in meetings[:2]] == [0, 1]
    with pytest.raises(TrainingError, match=r"3 machines came to 127\.0\.0\.1:\d+, but launch\.nodes is 2"):
        meetings[2].next_rendezvous()


@pytest.mark.parametrize(
    ("endpoint", "says"),
    [
        ("no-such-host.invalid:29400", "no-such-host.invalid, which has no address"),
        ("192.0.2.1:29400", "192.0.2.1:29400 cannot be used: Cannot assign requested address"),
    ],
)
def test_an_address_that_cannot_be_used_is_one_sentence(endpoint: str, says: str) -> None:
    with pytest.raises(TrainingError, match=f"launch.rendezvous.*{says}"):
        Meeting(endpoint, nodes=1, run_id="none", timeout_s=1).next_rendezvous()


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "arguments"), [("sft", ()), ("predict", ("--model", "base"))])
def test_each_launcher_listens_on_loopback_only(
    prepared: Path, tmp_path: Path, stage: str, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKOUT_GPU_PYTHON", sys.executable)  # as that of another environment is started
    folder = tmp_path / "workspace"
    shutil.copytree(prepared, folder, symlinks=True)
    params = read_params(folder)
    params["sft"] |= {"max_steps": 3, "save_steps": 3}
    params["sft"]["launch"]["processes"] = 2
    params["predict"] |= {"processes": 2, "python": "gpu"}
    write_params(folder, params)
    seen: set[str] = set()
    with start_stage(folder, stage, *arguments) as process:
        while process.poll() is None:
            family = {process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))}
            try:
                seen |= set(listeners(family))
            except (FileNotFoundError, psutil.NoSuchProcess):
                continue  # one of them has ended meanwhile
            time.sleep(0.2)
    assert process.returncode == 0, (folder / f"{stage}.log").read_text()[-2000:]
    assert seen, "nobody listened: this looked at the wrong processes"
    assert {address.split(":")[0] for address in seen} <= LOOPBACK


@pytest.mark.slow
def test_a_failure_of_one_of_several_is_the_stages_own_sentence(prepared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    shutil.copytree(prepared, folder, symlinks=True)
    params = read_params(folder)
    params["sft"]["launch"]["processes"] = 2
    write_params(folder, params)
    for image in (folder / "data/raw/crowd/Images").iterdir():
        image.unlink()
    answer = run_stage(folder, "sft", check=False)
    assert answer.returncode == 1
    last = answer.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert "cannot be read (No such file or directory); put the image back" in last
