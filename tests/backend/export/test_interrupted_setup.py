"""A setup script that was killed between making a thing and marking it: the next run marks it, and nothing else.

Run by bash with a gcloud that keeps memberships in a file, and that may take the script with it when it was asked.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from backend.export import setup_cloud
from backend.export.recipe import Recipe
from backend.export.script import Script
from backend.spec import GatewaySpec

GCLOUD = """#!/bin/bash
echo "$*" >>"$WORLD/asked"
case "$*" in
  *"memberships list"*) cat "$WORLD/memberships" 2>/dev/null || true ;;
  *"memberships register"*)
    printf 'global\\tgke-west\\tREADY\\t\\t//container.googleapis.com/%s\\n' "$LINK" >"$WORLD/memberships"
    if [ -n "${KILL:-}" ]; then kill -9 "$PPID"; fi
    ;;
  *"memberships update"*) sed -i.old $'s/READY\\t/READY\\tmarked/' "$WORLD/memberships" ;;
esac
"""
LINK = "projects/demo-project/locations/europe-west3/clusters/gke-west"


@pytest.fixture
def script(spec: GatewaySpec, tmp_path: Path) -> Path:
    """The part of a setup script that registers one cluster."""
    made = Script(Recipe.of(spec, "demo-project"), "")
    made.constants()
    made.functions("common", "setup")
    setup_cloud.membership(made, spec.clusters[0])
    path = tmp_path / "setup.sh"
    path.write_text(made.text)
    (tmp_path / "gcloud").write_text(GCLOUD)
    (tmp_path / "gcloud").chmod(0o755)
    return path


def run(script: Path, **variables: str) -> tuple[int, list[str]]:
    """Run it; gives its exit code and what it asked gcloud to change."""
    asked = script.parent / "asked"
    asked.write_text("")
    world = {"WORLD": str(script.parent), "LINK": LINK, "POLL_SECONDS": "0"}
    path = f"{script.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", str(script)], env={"PATH": path, "HOME": str(script.parent), **world, **variables}, check=False
    )
    return done.returncode, [line.split()[3] for line in asked.read_text().splitlines() if "list" not in line]


def test_what_a_killed_run_registered_is_marked_by_the_next(script: Path) -> None:
    assert run(script, KILL="yes") == (-9, ["register"])
    assert "marked" not in (script.parent / "memberships").read_text()
    assert run(script) == (0, ["update"])
    assert "marked" in (script.parent / "memberships").read_text()
    assert run(script) == (0, [])


def test_what_another_hand_registered_is_never_marked(script: Path) -> None:
    (script.parent / "memberships").write_text(f"global\tgke-west\tREADY\t\t//container.googleapis.com/{LINK}\n")
    assert run(script) == (0, [])
