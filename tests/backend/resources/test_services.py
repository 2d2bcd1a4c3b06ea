"""The APIs: enabled together, never disabled, and waited for until they answer."""

from __future__ import annotations

import pytest

from backend.clients import Clients
from backend.emulator import settings
from backend.emulator.server import Emulator
from backend.engine.events import Verb
from backend.errors import OperationFailed
from backend.resources.services import DOCUMENTED, ON_BY_DEFAULT, WANTED, Apis, EnabledServices
from backend.spec import GatewaySpec
from tests.backend.resources.rows import Session, Told, silent


@pytest.fixture
def row(spec: GatewaySpec, clients: Clients) -> EnabledServices:
    return EnabledServices(spec, clients)


def test_what_is_wanted_fits_one_request_and_holds_all_that_the_document_names() -> None:
    assert len(WANTED) <= 20
    assert {f"{name}.googleapis.com" for name in DOCUMENTED} < WANTED


@pytest.fixture
def unused(emulator: Emulator) -> None:
    """A project in which nobody has done anything yet."""
    for name in WANTED - ON_BY_DEFAULT:
        settings.put(emulator.world, f"service.{name}=disabled")


@pytest.mark.usefixtures("unused")
async def test_a_fresh_project_has_nothing_of_it(row: EnabledServices) -> None:
    assert await row.observe() is None
    assert row.diff(None).action == "create"


@pytest.mark.usefixtures("unused")
async def test_what_is_missing_is_enabled_in_one_operation(row: EnabledServices, clients: Clients) -> None:
    await clients.services.enable(["container.googleapis.com", "compute.googleapis.com"])
    seen = await row.observe()
    step = row.diff(seen)

    assert step.action == "update"
    assert {change.field for change in step.changes} == WANTED - {
        "container.googleapis.com",
        "compute.googleapis.com",
        "cloudresourcemanager.googleapis.com",
    }
    told = Told()
    await row.apply(step, told)
    assert await row.wait(silent) == Apis(WANTED)
    assert len(told.operations) == 1
    assert row.diff(await row.observe()).action == "no-op"


async def test_enabling_twice_asks_for_nothing(row: EnabledServices) -> None:
    await row.apply(row.diff(None), silent)
    await row.wait(silent)
    told = Told()

    await row.apply(row.diff(None), told)

    assert told.texts == []


async def test_a_failed_operation_is_a_failure(
    row: EnabledServices, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failed(name: str) -> dict[str, object]:
        return {"name": name, "done": True, "error": {"code": 9, "message": "billing is not enabled"}}

    await row.apply(row.diff(None), silent)
    monkeypatch.setattr(clients.services, "operation", failed)
    with pytest.raises(OperationFailed, match="billing is not enabled"):
        await row.wait(silent)


async def test_destroying_leaves_them_on(spec: GatewaySpec, clients: Clients, row: EnabledServices) -> None:
    await row.apply(row.diff(None), silent)
    await row.wait(silent)

    action, reason = (await Session(spec, clients).actions(Verb.DESTROY))["services"]

    assert action == "no-op"
    assert "gcloud services disable" in reason


def test_what_google_turns_on_by_itself_is_part_of_what_is_wanted() -> None:
    assert ON_BY_DEFAULT < WANTED


def test_the_command_is_complete(row: EnabledServices) -> None:
    words = row.about.command.split()

    assert words[:3] == ["gcloud", "services", "enable"]
    assert set(words[3:-1]) == WANTED
    assert words[-1] == "--project=demo-project"
