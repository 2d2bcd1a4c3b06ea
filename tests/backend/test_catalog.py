"""The catalogue answers in known units, says when it does not know, and dates everything."""

from datetime import date

import pytest

from backend import catalog
from backend.spec import Provisioning

KINDS = [
    *("services", "subnet", "cluster", "node-pool", "membership", "fleet-ingress", "secret", "crd", "model-server"),
    *("pool", "objective", "export", "gateway", "health-policy", "backend-policy", "relay", "verify"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_resource_has_a_duration(kind: str) -> None:
    assert 0 < catalog.duration(kind) <= 1200


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(KeyError):
        catalog.duration("no-such-kind")


def test_a_region_has_its_own_price() -> None:
    assert catalog.price("a3-highgpu-2g", "europe-west3", Provisioning.SPOT) == 18.376
    assert catalog.price("a3-highgpu-2g", "us-east4", Provisioning.SPOT) == 8.910
    assert catalog.price("c2-standard-16", "us-east4") == 0.9406


def test_a_region_without_its_own_price_takes_the_fallback_and_says_so() -> None:
    quoted = catalog.quote("a3-highgpu-1g", "europe-west3", "spot")
    assert quoted is not None
    assert (quoted.usd_per_hour, quoted.region) == (6.571, "us-central1")
    assert quoted.dated == date(2026, 9, 26)


@pytest.mark.parametrize(
    ("machine_type", "provisioning"), [("no-such-machine", "spot"), ("a3-highgpu-2g", "flex-start")]
)
def test_what_is_not_known_has_no_price(machine_type: str, provisioning: str) -> None:
    assert catalog.price(machine_type, "us-central1", provisioning) is None


def test_spot_is_cheaper_than_list_wherever_both_are_known() -> None:
    for machine_type in catalog.shapes():
        for region in ("us-central1", "us-east4", "europe-west3"):
            spot, listed = (catalog.price(machine_type, region, way) for way in ("spot", "on-demand"))
            if spot is not None and listed is not None:
                assert 0 < spot < listed


def test_small_h100_machines_cannot_be_bought_on_demand() -> None:
    shape = catalog.shapes()["a3-highgpu-2g"]
    assert shape.buy_as == {"spot", "flex-start"}
    assert (shape.accelerator, shape.accelerators) == ("nvidia-h100-80gb", 2)


def test_every_way_to_buy_is_one_of_the_spec() -> None:
    ways = {str(way) for way in Provisioning}
    assert all(shape.buy_as <= ways and shape.buy_as for shape in catalog.shapes().values())


def test_h100_zones_include_the_documents() -> None:
    zones = catalog.zones("nvidia-h100-80gb")
    assert zones is not None
    assert {"europe-west3-c", "us-east4-a"} <= set(zones)
    assert catalog.zones("no-such-gpu") is None


def test_prices_are_dated() -> None:
    oldest, newest = catalog.prices_dated()
    assert date(2025, 1, 1) < oldest <= newest
    assert catalog.cluster_fee() == 0.10
