"""A draft never loses an answer, and says what is wrong where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend import kept, presets
from backend.clients import Clients
from backend.draft import Draft, covers, places
from backend.kept import Kept
from backend.money import costs
from backend.places import Places
from backend.resources import declare
from backend.spec import GatewaySpec


@pytest.fixture
def draft(spec: GatewaySpec) -> Draft:
    return Draft.of(spec)


def test_a_specification_comes_back_as_it_was(spec: GatewaySpec, draft: Draft) -> None:
    assert draft.check().spec == spec


def test_a_problem_stands_at_its_field(draft: Draft) -> None:
    draft.set("timeout_s", 9999)
    checked = draft.check()
    assert checked.spec is None
    assert [problem.path for problem in checked.at("timeout_s")] == ["timeout_s"]


def test_one_answer_counts_for_all_clusters_or_for_some(draft: Draft) -> None:
    draft.set("clusters[].gpu_pool.nodes", 2)
    draft.set("clusters[].gpu_pool.nodes", 1, [1])
    assert draft.all("clusters[].gpu_pool.nodes") == [2, 1]


def test_the_other_balancing_mode_comes_back_with_its_limit(draft: Draft) -> None:
    draft.set("balancing.max_utilization_percent", 75)
    draft.set("balancing.mode", "IN_FLIGHT")
    assert draft.check().spec is not None
    draft.set("balancing.mode", "CUSTOM_METRICS")
    assert draft.get("balancing.max_utilization_percent") == 75


def test_a_region_that_was_left_comes_back_as_it_was(draft: Draft) -> None:
    draft.set("clusters[].gpu_pool.nodes", 7, [1])
    draft.leave_region("us-east4")
    assert [problem.path for problem in draft.check().problems] == ["clusters"]
    draft.choose_region("us-east4")
    assert draft.get("clusters[1].gpu_pool.nodes") == 7
    assert draft.check().spec is not None


def test_the_gateway_moves_when_its_region_is_left(draft: Draft) -> None:
    draft.leave_region("europe-west3")
    assert draft.config_region == "us-east4"
    draft.leave_region("us-east4")
    draft.choose_region("us-central1")
    assert draft.config_region == "us-central1"


def test_a_new_region_is_like_the_others_with_zones_of_its_own(draft: Draft) -> None:
    draft.choose_region("us-central1", zones=["us-central1-b", "us-central1-c"])
    spec = draft.check().spec
    assert spec is not None
    assert spec.clusters[2].name == "gke-us-central1"
    assert spec.clusters[2].serving_pool.zones == ("us-central1-b",)
    assert spec.clusters[2].serving_pool.nodes == spec.clusters[0].serving_pool.nodes


def test_regions_can_be_chosen_from_nothing(draft: Draft) -> None:
    bare = Draft({**draft.data, "clusters": [], "config_cluster": ""})
    bare.choose_region("us-east4")
    bare.choose_region("europe-west4")
    assert bare.check().spec is not None


def test_the_config_cluster_follows_its_name(draft: Draft) -> None:
    draft.set("clusters[].name", "front", [0])
    assert draft.data["config_cluster"] == "front"
    assert draft.check().spec is not None


def test_another_gpu_brings_its_machine_and_zones(draft: Draft) -> None:
    draft.choose_accelerator("nvidia-l4")
    draft.set("model.max_model_len", 8192)
    spec = draft.check().spec
    assert spec is not None
    assert {pool.machine_type for cluster in spec.targets if (pool := cluster.gpu_pool)} == {"g2-standard-4"}


def test_a_machine_brings_its_number_of_gpus(draft: Draft) -> None:
    draft.set("clusters[].gpu_pool.machine_type", "a3-highgpu-8g")
    assert draft.all("clusters[].gpu_pool.accelerators_per_node") == [8, 8]


def test_the_reservation_goes_with_its_way_of_buying(draft: Draft) -> None:
    draft.set("clusters[].gpu_pool.machine_type", "a3-highgpu-8g")
    draft.set("clusters[].gpu_pool.provisioning", "reservation")
    draft.set("clusters[].gpu_pool.reservation", "mine")
    draft.set("clusters[].gpu_pool.provisioning", "spot")
    assert draft.all("clusters[].gpu_pool.reservation") == [None, None]
    draft.set("clusters[].gpu_pool.provisioning", "reservation")
    assert draft.all("clusters[].gpu_pool.reservation") == ["mine", "mine"]


def test_a_guard_without_limits_is_none(draft: Draft) -> None:
    draft.set("guard.usd", 50.0)
    assert draft.get("guard.usd") == 50.0
    draft.set("guard.usd", None)
    assert draft.data["guard"] is None


@pytest.mark.parametrize(
    ("path", "other", "covered"),
    [
        ("clusters", "clusters[1].name", True),
        ("clusters[].name", "clusters[12].name", True),
        ("clusters[].name", "clusters[1].region", False),
        ("name", "names", False),
        ("model.adapters", "model.adapters[0].source", True),
    ],
)
def test_a_field_covers_what_is_below_it(path: str, other: str, covered: bool) -> None:
    assert covers(path, other) is covered


def test_regions_with_the_gpu_have_zones_and_prices(draft: Draft) -> None:
    found = {place.region: place for place in places(draft)}
    assert found["us-east4"].zones == ("us-east4-a", "us-east4-b", "us-east4-c")
    assert found["us-east4"].usd_per_hour == pytest.approx(3 * 8.910)
    assert "africa-south1" not in found


@pytest.mark.parametrize("preset", ["rehearsal", "two-region-h100", "in-flight", "l4-budget", "three-region"])
async def test_the_cost_is_that_of_the_plan(preset: str, clients: Clients, tmp_path: Path) -> None:
    spec = presets.load(presets.find(preset, Places.of({"MCIG_HOME": str(tmp_path)})), ["project=demo-project"])
    clients.know(spec)
    rows = declare(spec, clients)
    assert costs(spec).usd_per_hour == pytest.approx(sum(row.about.usd_per_hour for row in rows))


def test_idle_gpus_have_a_price(spec: GatewaySpec) -> None:
    draft = Draft.of(spec)
    draft.set("model.replicas", 3)
    some = draft.check().spec
    assert some is not None
    assert costs(some).idle_gpus == 6
    assert costs(some).idle == pytest.approx(1.5 * 18.376 + 1.5 * 8.910)


def test_a_draft_is_kept_with_what_is_put_aside(draft: Draft, tmp_path: Path) -> None:
    home = Places.of({"MCIG_HOME": str(tmp_path)})
    draft.set("clusters[].gpu_pool.nodes", 9, [1])
    draft.leave_region("us-east4")
    kept.keep(home, Kept(draft, "gpu", ("project", "gpu")))
    again = kept.read(home)
    assert again is not None
    assert (again.page, set(again.visited)) == ("gpu", {"project", "gpu"})
    again.draft.choose_region("us-east4")
    assert again.draft.get("clusters[1].gpu_pool.nodes") == 9
    assert kept.path(home).stat().st_mode & 0o077 == 0
    kept.forget(home)
    assert kept.read(home) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"spec": 3}', '{"spec": {"clusters": 3}}', '{"spec": {}}'])
def test_a_broken_draft_is_as_good_as_none_or_can_be_mended(text: str, tmp_path: Path) -> None:
    home = Places.of({"MCIG_HOME": str(tmp_path)})
    home.state.mkdir(parents=True)
    kept.path(home).write_text(text)
    found = kept.read(home)
    assert found is None or found.draft.check().problems
