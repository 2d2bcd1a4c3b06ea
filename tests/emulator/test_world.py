from __future__ import annotations

import stat
from pathlib import Path

import pytest

from backend.emulator.google import operations
from backend.emulator.pace import Pace
from backend.emulator.world import World, empty_tables, port_of, token_of, write_private


def world_at(home: Path) -> World:
    return World(home, token="secret", pace=Pace(), clock=lambda: 100.0)


def test_a_saved_world_comes_back(tmp_path: Path) -> None:
    before = world_at(tmp_path)
    before.tables["timers"]["kube x"] = 12.5
    before.tables["subnetworks"]["us-east4/a"] = {"ipCidrRange": "10.0.0.0/23"}
    before.save()
    after = world_at(tmp_path)
    assert after.load() == {}
    assert after.tables == before.tables


def test_files_are_their_owners_only(tmp_path: Path) -> None:
    world = world_at(tmp_path)
    world.save()
    token_of(tmp_path)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_the_token_is_made_once(tmp_path: Path) -> None:
    token = token_of(tmp_path)
    assert len(token) >= 32
    assert token_of(tmp_path) == token


def test_the_saved_world_holds_no_token(tmp_path: Path) -> None:
    world = world_at(tmp_path)
    world.save()
    assert world.token not in world.file.read_text()


@pytest.mark.parametrize(
    "text",
    [
        '{"format": 0, "tables": {"clusters": {"a": {}}}, "kube": {}}',
        '{"format": 1, "tables": {"clusters": {"a": {}}}}',
        '{"format": 1, "tables": {"clus',
        "[]",
        "",
    ],
)
def test_a_world_that_cannot_be_read_is_kept_aside(tmp_path: Path, text: str) -> None:
    write_private(tmp_path / "world.json", text)
    world = world_at(tmp_path)
    assert world.load() == {}
    assert world.tables == empty_tables()
    assert world.set_aside is not None
    world.save()
    assert world.set_aside.read_text() == text
    assert world_at(tmp_path).load() == {}


def test_a_touch_wakes_and_asks_for_a_save(tmp_path: Path) -> None:
    world = world_at(tmp_path)
    world.touch()
    assert world.wake.is_set()
    assert world.unsaved.is_set()


def test_a_cleared_world_is_a_fresh_one(tmp_path: Path) -> None:
    world = world_at(tmp_path)
    world.tables["clusters"]["a/b"] = {}
    world.clear()
    assert world.tables == empty_tables()


async def test_due_effects_are_applied_in_order_and_once(tmp_path: Path) -> None:
    now = 100.0
    world = World(tmp_path, token="secret", pace=Pace(speed=1, jitter=0), clock=lambda: now)
    operations.start(world, api="x", location="", what="services.switch", pace="subnet.create", key="late",
                     services=["late"], state="ENABLED")  # fmt: skip
    now = 90.0
    operations.start(world, api="x", location="", what="services.switch", pace="subnet.create", key="early",
                     services=["early"], state="ENABLED")  # fmt: skip
    assert operations.next_due(world) == 105.0
    await operations.settle(world)
    assert world.tables["services"] == {}
    now = 106.0
    await operations.settle(world)
    assert list(world.tables["services"]) == ["early"]
    now = 200.0
    await operations.settle(world)
    assert list(world.tables["services"]) == ["early", "late"]
    world.tables["services"].clear()
    await operations.settle(world)
    assert world.tables["services"] == {}
    assert operations.next_due(world) is None


async def test_an_effect_that_fails_ends_its_operation_with_an_error(tmp_path: Path) -> None:
    world = world_at(tmp_path)
    operations.start(world, api="x", location="", what="subnet.create", key="us-east4/not-there")
    await operations.settle(world)
    (record,) = operations.of(world, "x")
    assert record["done"]
    assert record["error"]["message"] == "Internal error."


def test_port_of() -> None:
    assert port_of("127.0.0.1:8123") == 8123
