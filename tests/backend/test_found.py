"""What is found on a machine, and that nothing broken stands in the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.found import look
from backend.places import Places


def test_a_bare_machine_has_nothing(tmp_path: Path) -> None:
    found = look({"HOME": str(tmp_path)}, Places.of({"MCIG_HOME": str(tmp_path)}))
    assert (found.account, found.project, found.token_from, found.emulator, found.stacks) == (
        None,
        None,
        None,
        None,
        (),
    )


def test_account_project_and_token_are_found(tmp_path: Path) -> None:
    gcloud = tmp_path / ".config" / "gcloud"
    (gcloud / "configurations").mkdir(parents=True)
    (gcloud / "configurations" / "config_default").write_text(
        "[core]\nproject = my-project\naccount = me@example.com\n"
    )
    (gcloud / "application_default_credentials.json").write_text(json.dumps({"type": "authorized_user"}))
    found = look({"HOME": str(tmp_path), "HF_TOKEN": "hf_secret"}, Places.of({"MCIG_HOME": str(tmp_path / "mcig")}))
    assert (found.account, found.project, found.project_from) == (
        "me@example.com",
        "my-project",
        "gcloud's configuration",
    )
    assert found.token_from == "HF_TOKEN"
    assert "hf_secret" not in repr(found)


def test_a_service_account_is_named_by_its_file(tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    key.write_text(json.dumps({"client_email": "robot@my-project.iam.gserviceaccount.com"}))
    environ = {"HOME": str(tmp_path), "GOOGLE_APPLICATION_CREDENTIALS": str(key), "GOOGLE_CLOUD_PROJECT": "mine"}
    found = look(environ, Places.of({"MCIG_HOME": str(tmp_path)}))
    assert (found.account, found.project) == ("robot@my-project.iam.gserviceaccount.com", "mine")


@pytest.mark.parametrize("content", ["", "{", "[]", "\udcff"])
def test_broken_credentials_are_none(tmp_path: Path, content: str) -> None:
    key = tmp_path / "key.json"
    key.write_bytes(content.encode("utf-8", "surrogateescape"))
    environ = {"HOME": str(tmp_path), "GOOGLE_APPLICATION_CREDENTIALS": str(key)}
    assert look(environ, Places.of({"MCIG_HOME": str(tmp_path)})).account is None


def test_stacks_come_latest_first_and_broken_ones_are_left_out(tmp_path: Path) -> None:
    home = Places.of({"MCIG_HOME": str(tmp_path)})
    home.stacks.mkdir(parents=True)
    for age, (name, target) in enumerate([("newest", "emulator"), ("older", "gke")]):
        home.stack(name).write_text(f"name: {name}\ntarget: {target}\n")
        import os

        os.utime(home.stack(name), (1_000_000 - age, 1_000_000 - age))
    home.stack("broken").write_bytes(b"\xff")
    assert [(one.name, one.target) for one in look({"HOME": str(tmp_path)}, home).stacks] == [
        ("newest", "emulator"),
        ("older", "gke"),
    ]
