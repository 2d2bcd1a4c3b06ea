"""The product's side of the emulator: find it, start it in the background, stop it.

Standard library only, and blocking: callers run these in a thread. The bearer token travels through files that only
their owner reads, never through a command line or an environment variable.
"""

from __future__ import annotations

import contextlib
import signal
import time
from pathlib import Path
from typing import Any

from backend.emulator.instance import STATUS_TIMEOUT_S, EmulatorError, Instance, WrongWish, call, find, world_file
from backend.emulator.launch import POLL_S, check_envoy, check_port, last_words, only_starter, spawn, wait_for_the_last
from backend.emulator.processes import collect, end_group, group_alive, process_start, started

__all__ = [
    "ACCOUNT",
    "PROJECT",
    "EmulatorError",
    "Instance",
    "WrongWish",
    "add_fault",
    "clear_faults",
    "environment",
    "fault_kinds",
    "faults",
    "find",
    "forget",
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
_CALL_TIMEOUT_S = 30.0
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


def start(
    home: Path, *, speed: float, seed: int = 7, port: int = 0, jitter: float = 1.0, wait_s: float = 30.0
) -> Instance:
    """The healthy emulator of a home folder, started in the background when none runs.

    The rest counts only for an emulator that this call starts: `speed` is how many times faster than the real cloud it
    is, infinite for everything at once; `port` 0 takes the port it had before, or a free one. Raises EmulatorError when
    it is not healthy within `wait_s` seconds.
    """
    check_envoy()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    collect()
    with only_starter(home, wait_s):
        if running := find(home):
            return running
        if port:
            check_port(port)
        if running := wait_for_the_last(home, wait_s):
            return running
        log = home / "emulator.log"
        before = log.stat().st_size if log.exists() else 0
        process = spawn(home, log, speed=speed, seed=seed, port=port, jitter=jitter)
        started(process)
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise EmulatorError(
                    f"The emulator ended at its start with code {process.returncode}.{last_words(log, before)}",
                    f"Read {log}, then run: mcig emulator start",
                )
            if instance := find(home):
                return instance
            time.sleep(POLL_S)
        end_group(process.pid, signal.SIGKILL)
        process.wait()
        raise EmulatorError(
            f"The emulator was not healthy after {wait_s:g} s.{last_words(log, before)}",
            f"Read {log}, then run: mcig emulator start",
        )


def status(instance: Instance) -> dict[str, Any]:
    """What it is and holds: pid, url, speed, seed, started, resources, faults, doors, ca, set_aside.

    `set_aside` is the path of a world that could not be read at its start, else None. Raises EmulatorError.
    """
    return call(instance, "GET", "status", _CALL_TIMEOUT_S)


def reset(instance: Instance) -> None:
    """Empty its world. Raises EmulatorError."""
    call(instance, "POST", "reset", _CALL_TIMEOUT_S)


def forget(home: Path) -> None:
    """Delete the world of a home folder in which none runs. Raises EmulatorError where one does."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with only_starter(home, _CALL_TIMEOUT_S):
        if running := wait_for_the_last(home, _CALL_TIMEOUT_S):
            reset(running)
        else:
            world_file(home).unlink(missing_ok=True)


def add_fault(instance: Instance, fault: str) -> dict[str, Any]:
    """Begin to play a fault, `KIND [parameter=value ...]`, and give it as it is kept. Raises EmulatorError."""
    return call(instance, "POST", "faults", _CALL_TIMEOUT_S, {"fault": fault})


def faults(instance: Instance) -> list[dict[str, Any]]:
    """The faults in the order in which they were added; `left` is how often one still plays. Raises EmulatorError."""
    found: list[dict[str, Any]] = call(instance, "GET", "faults", _CALL_TIMEOUT_S)["faults"]
    return found


def fault_kinds(instance: Instance) -> dict[str, dict[str, Any]]:
    """The faults that it can play by name: what each `does`, and its `parameters`. Raises EmulatorError."""
    found: dict[str, dict[str, Any]] = call(instance, "GET", "faults", STATUS_TIMEOUT_S)["kinds"]
    return found


def clear_faults(instance: Instance) -> None:
    """Play no fault any more. Raises EmulatorError."""
    call(instance, "DELETE", "faults", _CALL_TIMEOUT_S)


def put_setting(instance: Instance, setting: str) -> dict[str, Any]:
    """Set `PATH=VALUE` in the world, `usual` takes it back; gives path and value. Raises EmulatorError."""
    example = "for example: mcig emulator set quota.us-east4.PREEMPTIBLE_NVIDIA_H100_GPUS=4"
    return call(instance, "POST", "settings", _CALL_TIMEOUT_S, {"setting": setting}, mend=example)


def settings(instance: Instance) -> dict[str, Any]:
    """What is set (`settings`, of path and value) and what can be (`forms`, of form and does). Raises EmulatorError."""
    return call(instance, "GET", "settings", _CALL_TIMEOUT_S)


def stop(instance: Instance, wait_s: float = 20.0) -> None:
    """End it and return when it and its children are gone, by force after `wait_s` seconds. Raises EmulatorError."""
    identity = process_start(instance.pid)
    with contextlib.suppress(EmulatorError):
        call(instance, "POST", "stop", STATUS_TIMEOUT_S)
    if identity is None:
        collect()
        return
    for number in (None, signal.SIGTERM, signal.SIGKILL):
        if number is not None:
            end_group(instance.pid, number)
        deadline = time.monotonic() + (wait_s if number is None else _FORCED_S)
        while time.monotonic() < deadline:
            collect()
            if process_start(instance.pid) != identity and not group_alive(instance.pid):
                collect()
                return
            time.sleep(POLL_S)
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
