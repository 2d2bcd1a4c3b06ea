"""Policies on an import: attached, in conflict, or without a target."""

from __future__ import annotations

from typing import Any

import pytest

BACKEND, HEALTH = "networking.gke.io/gcpbackendpolicies", "networking.gke.io/healthcheckpolicies"


async def exported(world: Any, kit: Any) -> tuple[Any, Any]:
    west, east = kit.two_regions(world)
    west.add(*kit.inference_pool())
    await world.settle()
    return west, east


@pytest.mark.parametrize(("kind", "where"), [("GCPBackendPolicy", BACKEND), ("HealthCheckPolicy", HEALTH)])
async def test_a_policy_attaches_to_an_import(world: Any, kit: Any, kind: str, where: str) -> None:
    west, _ = await exported(world, kit)
    world.pace.table["policy.attach"] = 10
    west.add(kit.policy(kind, "p"))
    await world.settle()
    assert "status" not in west.one(where, "p")
    await world.after(10)
    assert kit.conditions(west.status(where, "p"))["Attached"] == ("True", "Attached")


async def test_a_policy_without_its_import_says_so_and_attaches_later(world: Any, kit: Any) -> None:
    west, _ = kit.two_regions(world)
    west.add(kit.policy("GCPBackendPolicy", "p"))
    await world.settle()
    assert kit.conditions(west.status(BACKEND, "p"))["Attached"] == ("False", "TargetNotFound")
    west.add(*kit.inference_pool())
    await world.settle()
    assert kit.conditions(west.status(BACKEND, "p"))["Attached"] == ("True", "Attached")


async def test_the_second_policy_of_a_kind_is_in_conflict_until_the_first_goes(world: Any, kit: Any) -> None:
    west, _ = await exported(world, kit)
    west.add(kit.policy("GCPBackendPolicy", "z-first"), kit.health_policy())
    world.time += 5
    west.add(kit.policy("GCPBackendPolicy", "a-second"))
    await world.settle()
    assert kit.conditions(west.status(BACKEND, "z-first"))["Attached"] == ("True", "Attached")
    assert kit.conditions(west.status(BACKEND, "a-second"))["Attached"] == ("False", "Conflicted")
    assert kit.conditions(west.status(HEALTH, "health"))["Attached"] == ("True", "Attached")
    west.store.delete(BACKEND, "default", "z-first")
    await world.settle()
    assert kit.conditions(west.status(BACKEND, "a-second"))["Attached"] == ("True", "Attached")


async def test_policies_on_a_pool_or_on_another_cluster_get_no_status(world: Any, kit: Any) -> None:
    west, east = await exported(world, kit)
    west.add(kit.policy("GCPBackendPolicy", "chart", target="InferencePool"))
    east.add(kit.policy("GCPBackendPolicy", "stray"))
    await world.settle()
    assert "status" not in west.one(BACKEND, "chart")
    assert "status" not in east.one(BACKEND, "stray")
