"""Costs by hour and day, money so far, and when a guard is passed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backend import money, presets
from backend.places import Places
from backend.spec import GatewaySpec, Guard

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places.of({"MCIG_HOME": str(tmp_path)})


def spec_of(places: Places, *settings: str) -> GatewaySpec:
    return presets.load(presets.find("two-region-h100", places), ("project=demo-project", *settings))


def standing(name: str, hours: float, *, made: bool = True, gpus: bool) -> money.Standing:
    return money.Standing(name, NOW - timedelta(hours=hours), made=made, gpus=gpus)


def test_the_documents_own_example_costs_what_its_prices_say(places: Places) -> None:
    found = money.costs(spec_of(places))
    assert found.gpus == pytest.approx(3 * 18.376 + 3 * 8.910)
    assert found.gpus_at_list == pytest.approx(3 * 26.108 + 3 * 22.139)
    assert found.fees == pytest.approx(0.2)
    assert found.usd_per_hour == pytest.approx(found.gpus + found.nodes + found.fees)
    assert found.usd_per_day == pytest.approx(24 * found.usd_per_hour)
    assert found.idle == 0
    assert found.unpriced == ()
    assert found.to_json()["estimate"] is True


def test_gpus_without_a_server_are_idle(places: Places) -> None:
    found = money.costs(spec_of(places, "model.replicas=3"))
    assert found.idle == pytest.approx((18.376 + 8.910) * 3 / 2)


def test_what_has_no_price_is_named_and_not_free_in_silence(places: Places) -> None:
    found = money.costs(spec_of(places, "clusters.gke-west.gpu_pool.provisioning=flex-start"))
    assert found.unpriced == ("a3-highgpu-2g as flex-start",)
    assert found.gpus == pytest.approx(3 * 8.910)


def test_what_counts_at_another_regions_price_is_named(places: Places) -> None:
    east = "clusters.gke-east"
    settings = (f"{east}.region=us-west1", f"{east}.gpu_pool.zones=[us-west1-a]", "beyond_catalog=true")
    found = money.costs(spec_of(places, *settings))
    assert found.borrowed == (money.Borrowed("c2-standard-16", ("us-west1",), "us-central1"),)
    told = found.to_json()["borrowed_prices"]
    assert told == [{"machine_type": "c2-standard-16", "regions": ("us-west1",), "of": "us-central1"}]
    assert money.costs(spec_of(places)).borrowed == ()


def test_money_so_far_counts_what_is_there_since_it_was_made(places: Places) -> None:
    spec = spec_of(places)
    seen = [standing("gke-west", 2, gpus=True), standing("gke-east", 1, gpus=False)]
    so_far = money.spent(spec, seen, NOW)
    assert so_far.hours == pytest.approx(2)
    assert so_far.usd == pytest.approx(2 * (3 * 18.376 + 0.1 + 3 * 1.0761) + 0.1 + 3 * 0.9406, rel=0.01)
    assert so_far.uncounted == ()
    assert money.spent(spec, [], NOW) == money.Spent(0.0, None, NOW)


def test_of_a_cluster_that_is_not_the_stacks_only_the_gpus_count(places: Places) -> None:
    seen = [standing("gke-west", 2, made=False, gpus=True), standing("gke-east", 1000, made=False, gpus=False)]
    so_far = money.spent(spec_of(places), seen, NOW)
    assert so_far.usd == pytest.approx(2 * 3 * 18.376)
    assert (so_far.hours, so_far.uncounted) == (2, ("gke-west", "gke-east"))
    assert so_far.to_json()["uncounted"] == ["gke-west", "gke-east"]


def test_what_stands_since_nobody_knows_when_is_named_and_passes_no_guard(places: Places) -> None:
    so_far = money.spent(spec_of(places), [money.Standing("gke-west", None, made=False, gpus=True)], NOW)
    assert so_far == money.Spent(0.0, None, NOW, ("gke-west",))
    assert money.over(Guard(usd=0.01, hours=0.01), so_far) == ""


@pytest.mark.parametrize(
    ("guard", "words", "left"),
    [
        (None, "", None),
        (Guard(usd=200), "", 3600.0),
        (Guard(hours=3), "", 3600.0),
        (Guard(usd=100), "about $100.00 were spent, and the guard is $100.00", 0.0),
        (Guard(usd=1000, hours=1.5), "it has stood for 2.0 h, and the guard is 1.5 h", 0.0),
    ],
)
def test_a_guard_tells_when_it_is_passed(guard: Guard | None, words: str, left: float | None) -> None:
    so_far = money.Spent(100.0, NOW - timedelta(hours=2), NOW)
    assert money.over(guard, so_far) == words
    assert money.reached_in_s(guard, so_far, 100.0) == (None if left is None else pytest.approx(left))
