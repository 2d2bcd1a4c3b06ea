"""Every fix that doctor names is run in a shell, as a person would paste it, and then the check is well."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.terminal import TIMEOUT_S, Terminal, Warm

H100 = "PREEMPTIBLE_NVIDIA_H100_GPUS"
needs_gcloud = pytest.mark.skipif(shutil.which("gcloud") is None, reason="the fix is a gcloud command")


class Shell:
    """A shell that is pointed at the emulated cloud, in which ``mcig`` is the code under test."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        terminal.mcig("emulator", "start", "--detach", "--speed", "max")
        programs = terminal.home / "bin"
        programs.mkdir()
        mcig = programs / "mcig"
        root = Path(__file__).parents[2]
        mcig.write_text(f'#!/bin/sh\nPYTHONPATH="{root}" exec "{sys.executable}" -m tui "$@"\n')
        mcig.chmod(0o755)
        path = f"{programs}{os.pathsep}{terminal.environ['PATH']}"
        self.environ = terminal.environ | {"PATH": path, "NO_PROXY": "127.0.0.1"}
        self._exports = terminal.mcig("emulator", "env").out

    def run(self, line: str, *, typed: str = "") -> str:
        """Run a line after the exports of ``mcig emulator env``; fails when it does."""
        script = f"{self._exports}\nexport MCIG_HOME={self.terminal.home}/mcig\nset -e\n{line}\n"
        done = subprocess.run(
            ["bash", "-c", script],
            env=self.environ,
            input=typed,
            text=True,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def doctor(self, *options: str) -> dict[str, dict[str, Any]]:
        """Findings by id."""
        checks = self.terminal.mcig("doctor", "rehearsal", "--json", *options, code=None).document["checks"]
        return {check["id"]: check for check in checks}

    def enable(self) -> None:
        """Turn on what has to be on for anything to be read."""
        for api in ("compute", "container", "gkehub", "cloudquotas", "cloudbilling"):
            self.terminal.mcig("emulator", "set", f"service.{api}.googleapis.com=enabled")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> Iterator[Shell]:
    """One shell and one world for all; each test takes back what it set."""
    terminal = Terminal(tmp_path_factory.mktemp("home"), warm)
    made = Shell(terminal)
    made.enable()
    yield made
    terminal.close()


@pytest.mark.parametrize(
    ("setting", "check"),
    [
        pytest.param(f"quota.us-east4.{H100}=0", f"quota/us-east4/{H100}", id="quota"),
        pytest.param("quota.global.CPUS_ALL_REGIONS=8", "quota/global/CPUS_ALL_REGIONS", id="global quota"),
        pytest.param(
            "service.compute.googleapis.com=disabled", "api/compute.googleapis.com", id="API", marks=needs_gcloud
        ),
        pytest.param(
            "iam.deny=gkehub.memberships.create",
            "permission/gkehub.memberships.create",
            id="permission",
            marks=needs_gcloud,
        ),
    ],
)
def test_a_fix_of_the_project_makes_the_check_well(shell: Shell, setting: str, check: str) -> None:
    shell.terminal.mcig("emulator", "set", setting)
    found = shell.doctor()[check]
    assert found["status"] != "ok"
    shell.run(found["fix"])
    assert shell.doctor()[check]["status"] == "ok"
    shell.terminal.mcig("emulator", "set", f"{setting.partition('=')[0]}=usual")
    shell.enable()


@pytest.mark.parametrize(
    ("setting", "options", "check"),
    [
        ("capacity.us-east4-a.a3-highgpu-2g=0", (), "capacity/us-east4/a3-highgpu-2g"),
        ("versions.us-east4.RAPID=1.33.5-gke.1125000", (), "version/gke/us-east4"),
        (None, ("--set", "clusters.gke-east.proxy_subnet=10.150.0.0/23"), "subnet/us-east4"),
        (None, ("--set", "network.vpc=absent"), "network/absent"),
    ],
)
def test_a_fix_of_the_specification_makes_the_check_well(
    shell: Shell, setting: str | None, options: tuple[str, ...], check: str
) -> None:
    if setting is not None:
        shell.terminal.mcig("emulator", "set", setting)
    found = shell.doctor(*options)[check]
    assert found["status"] == "fail"
    told = json.loads(shell.run(f"{found['fix']} --json"))["checks"]
    assert not [one["id"] for one in told if one["status"] == "fail"]
    if setting is not None:
        shell.terminal.mcig("emulator", "set", f"{setting.partition('=')[0]}=usual")


def test_a_token_is_given_without_showing_it(shell: Shell) -> None:
    """The line reads it from the keyboard, so that no history and no command line keeps it."""
    from backend.preflight.model import GIVE_TOKEN

    assert shell.run(f"{GIVE_TOKEN}; printenv HF_TOKEN", typed="hf_secret\n").strip() == "hf_secret"
