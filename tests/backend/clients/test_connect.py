"""Where a stack's cloud is, and who may ask it."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.clients import Clients
from backend.clients.connect import Connection, connect, emulated
from backend.emulator import control
from backend.errors import CredentialsError, NotFound, RehearsalError, UsageError
from backend.spec import GatewaySpec, Target


@pytest.fixture
def no_prefetch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.clients.connect.prefetch", lambda modules: None)


@pytest.fixture
def real(spec: GatewaySpec) -> GatewaySpec:
    return spec.model_copy(update={"target": Target.GKE, "project": "acme-inference"})


def test_every_api_of_the_emulated_cloud_is_on_loopback() -> None:
    connection = emulated("http://127.0.0.1:4321", "t", project="demo-project")

    assert connection.endpoints["container"] == "http://127.0.0.1:4321/container"
    assert connection.endpoints["compute"] == "http://127.0.0.1:4321"
    assert all(url.startswith("http://127.0.0.1:4321") for url in connection.endpoints.values())
    assert connection.description == "the emulated cloud at http://127.0.0.1:4321"


def test_loopback_is_never_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "intranet.example,localhost")
    monkeypatch.delenv("no_proxy", raising=False)

    emulated("http://127.0.0.1:4321", "t", project="demo-project")

    assert os.environ["NO_PROXY"] == "intranet.example,localhost,127.0.0.1"
    assert "127.0.0.1" in os.environ["no_proxy"]


def test_a_door_is_on_this_machine_or_the_address_itself() -> None:
    connection = emulated(
        "http://127.0.0.1:4321", "t", project="demo-project", doors=lambda: {("us-east4", "10.150.0.9"): 5055}
    )

    assert connection.door("us-east4", "10.150.0.9", 80) == "http://127.0.0.1:5055/v1"
    assert connection.door("europe-west3", "10.156.0.9", 80) == "http://10.156.0.9/v1"
    assert connection.door("europe-west3", "10.156.0.9", 8080) == "http://10.156.0.9:8080/v1"


def test_the_token_is_in_no_text_of_the_connection() -> None:
    assert "secret-token" not in repr(emulated("http://127.0.0.1:4321", "secret-token", project="demo-project"))


@pytest.mark.usefixtures("no_prefetch")
async def test_an_emulator_that_runs_is_used_and_another_is_started_at_the_pace_of_the_spec(
    spec: GatewaySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = control.Instance("http://127.0.0.1:4321", "t", 1, 0.0, tmp_path / "ca.pem", tmp_path)
    started: list[tuple[Path, float, int]] = []

    def start(home: Path, *, speed: float, seed: int) -> control.Instance:
        started.append((home, speed, seed))
        return instance

    monkeypatch.setattr(control, "start", start)
    monkeypatch.setattr(control, "find", lambda home: instance)
    monkeypatch.setattr(control, "status", lambda instance: {"speed": 60.0, "set_aside": None})
    assert (await connect(spec, project="demo-project", home=tmp_path)).project == "demo-project"
    assert started == []

    monkeypatch.setattr(control, "find", lambda home: None)
    await connect(spec, project="demo-project", home=tmp_path)
    await connect(spec, project="demo-project", home=tmp_path, speed=float("inf"))
    assert started == [(tmp_path, 60.0, 7), (tmp_path, float("inf"), 7)]


@pytest.mark.usefixtures("no_prefetch")
async def test_an_emulator_that_does_not_start_is_told(
    spec: GatewaySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(home: Path, **_: Any) -> control.Instance:
        raise control.EmulatorError("It ended at its start.", "Read the log.")

    monkeypatch.setattr(control, "start", start)
    with pytest.raises(RehearsalError, match="ended at its start") as caught:
        await connect(spec, project="demo-project", home=tmp_path)
    assert caught.value.fix == "Read the log."


@pytest.mark.usefixtures("no_prefetch")
async def test_without_credentials_the_sign_in_command_is_told(
    real: GatewaySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    def nobody(**_: Any) -> Any:
        raise DefaultCredentialsError("none")  # type: ignore[no-untyped-call]

    monkeypatch.setattr(google.auth, "default", nobody)
    with pytest.raises(CredentialsError) as caught:
        await connect(real, project="acme-inference", home=tmp_path)
    assert "gcloud auth application-default login" in caught.value.fix


@pytest.mark.usefixtures("no_prefetch")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "was not found"),
        ("not JSON", "is not a valid json file"),
        ('{"type": "x"}', "does not have a valid type"),
    ],
)
async def test_a_file_of_credentials_that_cannot_be_used_is_named_with_its_variable(
    real: GatewaySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, why: str
) -> None:
    file = tmp_path / "key.json"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    with pytest.raises(CredentialsError) as caught:
        await connect(real, project="acme-inference", home=tmp_path)
    assert f"GOOGLE_APPLICATION_CREDENTIALS names cannot be used: {file}" in caught.value.message
    assert why in caught.value.cause
    assert "unset GOOGLE_APPLICATION_CREDENTIALS" in caught.value.fix


@pytest.mark.usefixtures("no_prefetch")
async def test_the_real_cloud_is_reached_at_its_own_addresses(
    real: GatewaySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import google.auth

    asked: list[dict[str, Any]] = []

    def default(**options: Any) -> tuple[object, str]:
        asked.append(options)
        return object(), "somebody-elses"

    monkeypatch.setattr(google.auth, "default", default)
    connection = await connect(real, project="acme-inference", home=tmp_path)
    assert (connection.project, asked[0]["quota_project_id"]) == ("acme-inference", "acme-inference")
    assert (connection.endpoints, connection.speed) == ({}, None)
    assert connection.door("us-east4", "10.0.0.9", 80) == "http://10.0.0.9/v1"


@pytest.mark.usefixtures("no_prefetch")
@pytest.mark.parametrize(
    ("credentials", "account"),
    [
        (SimpleNamespace(service_account_email="ci@acme.iam.gserviceaccount.com"), "ci@acme.iam.gserviceaccount.com"),
        (SimpleNamespace(service_account_email="default"), ""),
        (SimpleNamespace(account="me@example.com"), "me@example.com"),
        (SimpleNamespace(), ""),
    ],
)
async def test_whom_credentials_stand_for(
    credentials: SimpleNamespace, account: str, real: GatewaySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import google.auth

    monkeypatch.setattr(google.auth, "default", lambda **_: (credentials, None))
    assert (await connect(real, project="acme-inference", home=tmp_path)).account == account


async def test_the_api_server_of_an_absent_cluster_is_not_found(clients: Clients) -> None:
    from backend.clients.kinds import NODE
    from backend.resources.services import WANTED

    await clients.services.enable(WANTED)
    with pytest.raises(NotFound, match="gke-west in europe-west3"):
        await clients.kube("gke-west").list(NODE)
    with pytest.raises(UsageError, match="none of the stack's clusters"):
        clients.kube("gke-north")


async def test_the_project_knows_its_number(clients: Clients, connection: Connection) -> None:
    assert (await clients.projects.get())["projectId"] == connection.project
    assert (await clients.projects.number()).isdigit()
