"""One run a stack, and no lock outlives its owner."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import LockHeld
from backend.lock import Owner, StackLock, process_start

HOLDER = """
import sys
from pathlib import Path
from backend.lock import StackLock
with StackLock(Path(sys.argv[1]), "demo"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "demo.lock"


def dead_process() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def written(path: Path, owner: Owner) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(asdict(owner)))


def test_a_second_run_is_refused_and_told_who_has_it(path: Path) -> None:
    with StackLock(path, "demo"), pytest.raises(LockHeld) as caught, StackLock(path, "demo"):
        pass
    assert f"process {os.getpid()}" in caught.value.message
    assert "demo" in caught.value.message
    assert caught.value.fix


@given(st.sampled_from([None, ValueError, KeyboardInterrupt, SystemExit, GeneratorExit]))
def test_it_is_given_back_on_every_way_out(
    tmp_path_factory: pytest.TempPathFactory, failure: type[BaseException] | None
) -> None:
    path = tmp_path_factory.mktemp("home") / "demo.lock"
    if failure is None:
        with StackLock(path, "demo"):
            pass
    else:
        with pytest.raises(failure), StackLock(path, "demo"):
            raise failure
    with StackLock(path, "demo") as again:
        assert again.taken_from is None


def test_a_refused_run_does_not_disturb_the_owner(path: Path) -> None:
    with StackLock(path, "demo"):
        for _ in range(2):
            with pytest.raises(LockHeld), StackLock(path, "demo"):
                pass
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_a_killed_owner_is_taken_over(path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockHeld, match=f"process {holder.pid}"), StackLock(path, "demo"):
            pass
        holder.kill()
        holder.wait()
        with StackLock(path, "demo") as lock:
            assert lock.taken_from is not None
            assert lock.taken_from.pid == holder.pid


@pytest.mark.parametrize(
    "died",
    [
        pytest.param(lambda: replace(Owner.me(), pid=dead_process()), id="gone"),
        pytest.param(lambda: replace(Owner.me(), started="1"), id="process id used again"),
    ],
)
def test_a_dead_owner_of_this_host_is_taken_over(path: Path, died: Callable[[], Owner]) -> None:
    owner = died()
    written(path, owner)
    with StackLock(path, "demo") as lock:
        assert lock.taken_from == owner
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_another_hosts_lock_is_refused_with_who_and_since(path: Path) -> None:
    owner = replace(Owner.me(), host="elsewhere", user="somebody", since="2026-01-02T03:04:05+00:00", pid=1)
    written(path, owner)
    with pytest.raises(LockHeld) as caught, StackLock(path, "demo"):
        pass
    assert "somebody@elsewhere" in caught.value.message
    assert "2026-01-02T03:04:05" in caught.value.message
    assert "make sure on elsewhere that it is over" in caught.value.fix
    assert "mcig apply demo --take-over" in caught.value.fix
    assert Owner(**json.loads(path.read_text())) == owner


def test_another_hosts_lock_is_taken_over_when_that_is_asked_for(path: Path) -> None:
    owner = replace(Owner.me(), host="elsewhere", pid=1)
    written(path, owner)
    with StackLock(path, "demo", take_over=True) as lock:
        assert lock.taken_from == owner
        assert not owner.here
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_a_run_that_is_known_to_live_is_never_taken_over(path: Path) -> None:
    with StackLock(path, "demo"), pytest.raises(LockHeld) as caught, StackLock(path, "demo", take_over=True):
        pass
    assert "--take-over" not in caught.value.fix


def test_a_torn_lock_file_is_no_owner(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text('{"pid": 1')
    with StackLock(path, "demo") as lock:
        assert lock.taken_from is None


def test_the_lock_file_is_the_owners_only(path: Path) -> None:
    with StackLock(path, "demo"):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700


def test_process_start_tells_processes_apart() -> None:
    assert process_start(os.getpid())
    assert process_start(dead_process()) is None
