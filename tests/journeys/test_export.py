"""A specification is exported from the command line, again and to another place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.terminal import Terminal

PROJECT = ("--set", "project=my-project")


@pytest.mark.parametrize(
    ("form", "entry"),
    [("gcloud", "setup.sh"), ("manifests", "gke-west/kustomization.yaml"), ("terraform", "1-cloud/main.tf")],
)
def test_each_form_is_written_and_told_of(terminal: Terminal, tmp_path: Path, form: str, entry: str) -> None:
    out = tmp_path / "out"
    told = terminal.mcig("export", "two-region-h100", *PROJECT, "--format", form, "--out", str(out), "--json")
    assert told.document["folder"] == str(out)
    assert entry in told.document["files"]
    assert all((out / path).is_file() for path in told.document["files"])


def test_people_are_told_what_to_do_next_and_an_export_may_be_repeated(terminal: Terminal, tmp_path: Path) -> None:
    out = tmp_path / "the scripts"
    command = ("export", "in-flight", *PROJECT, "--format", "gcloud", "--out", str(out))
    first, again = terminal.mcig(*command), terminal.mcig(*command)
    assert f"HF_TOKEN=hf_... '{out}'/setup.sh" in first.out
    assert again.out == first.out


def test_what_was_changed_by_hand_is_kept(terminal: Terminal, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ("export", "in-flight", *PROJECT, "--format", "gcloud", "--out", str(out))
    terminal.mcig(*command)
    (out / "setup.sh").write_text("mine\n")
    refused = terminal.mcig(*command, code=2)
    assert (out / "setup.sh").read_text() == "mine\n"
    assert "setup.sh" in refused.err
    assert "--yes" in refused.err
    terminal.mcig(*command, "--yes")
    assert (out / "setup.sh").read_text().startswith("#!/usr/bin/env bash\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("two-region-h100", "--format", "gcloud", "--out", "new"), "project"),
        (("two-region-h100", *PROJECT, "--format", "pulumi", "--out", "new"), "pulumi"),
        (("two-region-h100", *PROJECT, "--format", "gcloud"), "--out"),
        (("nowhere", "--format", "gcloud", "--out", "new"), "nowhere"),
        (("two-region-h100", *PROJECT, "--format", "gcloud", "--out", "/dev/null"), "/dev/null"),
        (("two-region-h100", *PROJECT, "--format", "gcloud", "--out", "/proc/new"), "/proc/new"),
    ],
)
def test_what_cannot_be_exported_is_refused(terminal: Terminal, arguments: tuple[str, ...], said: str) -> None:
    refused = terminal.mcig("export", *arguments, code=2)
    assert said in refused.err
