"""What a shell offers at the tab key, asked by a real bash, and what a tab may cost."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.imports import ROOT
from tests.architecture.test_loading import HEAVY
from tests.journeys.terminal import Typing

ASK = """
eval "$(mcig completion bash)"
while IFS= read -r line; do
    COMP_LINE="$line" COMP_POINT=${#line} COMP_TYPE=9 COMPREPLY=()
    _python_argcomplete mcig
    echo "${COMPREPLY[*]}"
done
"""
OFFERED = {
    "mcig ": {"plan", "apply", "destroy", "status", "monitor", "support-bundle", "completion", "emulator"},
    "mcig emu": {"emulator"},
    "mcig apply ": {"rehearsal", "two-region-h100", "mine.yaml"},
    "mcig apply rehearsal --on-stockout ": {"ask", "next-zone", "stop"},
    "mcig apply rehearsal --o": {"--only", "--on-stockout"},
    "mcig apply rehearsal --only ga": {"gateway"},
    "mcig apply rehearsal --ignore quota/": {"quota/europe-west3", "quota/us-east4"},
    "mcig plan rehearsal --set clusters.gke-west.gpu_pool.no": {"clusters.gke-west.gpu_pool.nodes="},
    "mcig plan rehearsal --set balancing.mode=": {"CUSTOM_METRICS", "IN_FLIGHT"},
    "mcig prompt rehearsal --model f": {"food-review-1"},
    "mcig drill nonsense --region ": set(),
    "mcig emulator fault add ": set(),
}
"""What is offered, or some of it, after what was typed; nothing where nothing is known."""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A shell's variables, with ``mcig`` of this tree first on the path."""
    program = tmp_path / "bin" / "mcig"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tui "$@"\n')
    program.chmod(0o755)
    return {
        "HOME": str(tmp_path),
        "MCIG_HOME": str(tmp_path / "mcig"),
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SHELL": "/usr/local/bin/bash",
        "TERM": "dumb",
    }


def test_bash_offers_what_can_come_next(environ: dict[str, str], tmp_path: Path) -> None:
    here = tmp_path / "here"
    (here / "folder").mkdir(parents=True)
    (here / "mine.yaml").touch()
    done = subprocess.run(
        ["bash", "-c", ASK],
        input="\n".join(OFFERED) + "\n",
        env=environ,
        cwd=here,
        text=True,
        capture_output=True,
        check=True,
    )
    answers = dict(zip(OFFERED, done.stdout.splitlines(), strict=True))
    for line, wanted in OFFERED.items():
        found = set(answers[line].split())
        assert found >= wanted, (line, done.stderr)
        assert wanted or not found, line
    assert "folder/" not in answers["mcig apply "]
    assert not (tmp_path / "mcig").exists()


def test_a_tab_completes_in_a_shell_that_somebody_types_in(environ: dict[str, str]) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    shell = Typing([bash, "--norc", "--noprofile", "-i"], environ, columns=100, lines=30)
    shell.type('eval "$(mcig completion)"; echo ready to be $?\n')
    shell.until("ready to be 0")
    shell.type("echo mcig; mcig emulator sta\t")
    shell.until("emulator sta")
    shell.type("\t")
    shell.until("start")
    shell.until("status")
    shell.type("t\t--version\n")
    shell.until("status --version")
    shell.type("exit\n")
    shell.end()


@pytest.mark.parametrize(("line", "models"), [("mcig ", False), ("mcig plan re", False), ("mcig plan --set bal", True)])
def test_a_tab_loads_only_what_its_offer_needs(
    environ: dict[str, str], tmp_path: Path, line: str, models: bool
) -> None:
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    out = tmp_path / "offers"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "tui"],
        env={**environ, **asked, "_ARGCOMPLETE_STDOUT_FILENAME": str(out)},
        capture_output=True,
        text=True,
        check=False,
    )
    loaded = {found.partition(".")[0] for found in re.findall(r"\|\s+([\w.]+)$", done.stderr, re.MULTILINE)}
    assert out.read_text()
    assert "argparse" in loaded
    assert loaded.isdisjoint(HEAVY)
    assert ("pydantic" in loaded) is models


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_a_script_that_it_takes(environ: dict[str, str], shell: str) -> None:
    printed = subprocess.run(["mcig", "completion", shell], env=environ, text=True, capture_output=True, check=True)
    assert "_ARGCOMPLETE" in printed.stdout
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed, so nobody judges its script")
    subprocess.run([shell, "-n"], input=printed.stdout, text=True, check=True)


def test_an_unknown_shell_is_refused_with_a_way_out(environ: dict[str, str]) -> None:
    done = subprocess.run(
        ["mcig", "completion"], env=environ | {"SHELL": "/bin/tcsh"}, text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "tcsh" in done.stderr
    assert "mcig completion bash" in done.stderr
