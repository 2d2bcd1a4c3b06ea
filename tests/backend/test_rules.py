"""What shapes, regions, versions and models cannot do is refused at its field, with what can be done instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend import catalog, catalog_rules, presets, rules
from backend.errors import SpecError
from backend.places import Places
from backend.spec import GatewaySpec, problems


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places.of({"MCIG_HOME": str(tmp_path)})


def load(places: Places, *settings: str, preset: str = "rehearsal") -> GatewaySpec:
    return presets.load(presets.find(preset, places), settings)


def refused(places: Places, *settings: str, preset: str = "rehearsal") -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        load(places, *settings, preset=preset)
    return {problem.path: problem.message for problem in caught.value.problems}


WEST = "clusters.gke-west.gpu_pool"
H200 = (
    "machine_type=a3-ultragpu-8g",
    "accelerator=nvidia-h200-141gb",
    "accelerators_per_node=8",
    "zones=[us-east4-b]",
    "provisioning=on-demand",
)


@pytest.mark.parametrize(
    ("settings", "path", "words"),
    [
        (
            [f"{WEST}.provisioning=on-demand"],
            "clusters[0].gpu_pool.provisioning",
            ["a3-highgpu-2g", "spot or flex-start", "a3-highgpu-8g", "2026-07-01"],
        ),
        (
            [f"{WEST}.provisioning=reservation", f"{WEST}.reservation=mine"],
            "clusters[0].gpu_pool.provisioning",
            ["a3-highgpu-2g", "spot or flex-start", "a3-highgpu-8g"],
        ),
        (
            [f"clusters.gke-east.gpu_pool.{one}" for one in H200],
            "clusters[1].gpu_pool.provisioning",
            ["a3-ultragpu-8g", "spot, flex-start or reservation"],
        ),
        (
            [f"{WEST}.accelerators_per_node=4"],
            "clusters[0].gpu_pool.accelerators_per_node",
            ["a3-highgpu-2g has 2 GPUs", "a3-highgpu-4g"],
        ),
        (
            [f"{WEST}.accelerator=nvidia-h200-141gb"],
            "clusters[0].gpu_pool.accelerator",
            ["nvidia-h100-80gb", "a3-ultragpu-8g"],
        ),
        (
            [f"{WEST}.zones=[europe-west3-c, europe-west3-a]"],
            "clusters[0].gpu_pool.zones[1]",
            ["europe-west3-a has no nvidia-h100-80gb", "2026-08-17", "europe-west3-c"],
        ),
        (
            ["clusters.gke-east.region=us-south1", "clusters.gke-east.gpu_pool.zones=[us-south1-a]"],
            "clusters[1].region",
            ["us-south1 has no nvidia-h100-80gb", "us-central1 (us-central1-a"],
        ),
        (
            ["clusters.gke-east.region=us-east44", "clusters.gke-east.gpu_pool.zones=[us-east44-a]"],
            "clusters[1].region",
            ["no region of Google Cloud", "did you mean us-east4"],
        ),
        (
            ["clusters.gke-east.region=mars-north1", "clusters.gke-east.gpu_pool.zones=[mars-north1-a]"],
            "clusters[1].region",
            ["no region of Google Cloud", "there is africa-south1"],
        ),
        (
            ["model.id=meta-llama/Llama-3.1-70B-Instruct", "model.adapters=[]"],
            "model.id",
            ["132 GiB", "one nvidia-h100-80gb on gke-west", "quantised"],
        ),
        (
            ["model.id=someone/huge-60b", "model.adapters=[]"],
            "model.id",
            ["112 GiB", "nvidia-h200-141gb would hold them"],
        ),
        (["model.id=Qwen/Qwen3-32B", "model.max_model_len=9000"], "model.adapters", ["food-review-1", "[]"]),
        (
            ["model.id=Qwen/Qwen3-32B", "model.adapters=[]"],
            "model.max_model_len",
            ["40960 tokens", "set max_model_len to 16384"],
        ),
        (["versions.gke=1.34.0-gke.2000000"], "versions.gke", [">=1.34.1-gke.1127000"]),
        (["versions.gke=>=1.34"], "versions.gke", [">=1.34.1-gke.1127000"]),
        (["versions.gke=1.33"], "versions.gke", ["older"]),
        (["model.image=vllm/vllm-openai:v0.6.0"], "model.image", ["KV-cache", "IN_FLIGHT"]),
    ],
)
def test_what_cannot_be_done_is_refused_at_its_field(
    places: Places, settings: list[str], path: str, words: list[str]
) -> None:
    found = refused(places, *settings)
    assert list(found) == [path]
    for word in words:
        assert word in found[path]


@pytest.mark.parametrize(
    "settings",
    [
        [f"{WEST}.provisioning=flex-start"],
        [f"{WEST}.machine_type=a3-highgpu-8g", f"{WEST}.accelerators_per_node=8", f"{WEST}.provisioning=on-demand"],
        [f"{WEST}.machine_type=a9-future-1g", f"{WEST}.accelerator=nvidia-x1", f"{WEST}.zones=[europe-west3-z]"],
        ["versions.gke=1.34"],
        ["versions.gke=1.35.2-gke.1842000"],
        ["versions.gke=>=1.35"],
        ["model.id=Qwen/Qwen3-32B", "model.adapters=[]", "model.max_model_len=16000"],
        ["model.id=someone/Llama-3.1-8B-tuned"],
        ["model.id=someone/no-size-in-the-name", "model.adapters=[]"],
        ["model.image=vllm/vllm-openai:v0.6.0", "balancing.mode=IN_FLIGHT"],
    ],
)
def test_what_can_be_done_or_is_not_known_is_not_refused(places: Places, settings: list[str]) -> None:
    assert rules.refusals(load(places, *settings)) == []


def test_an_l4_needs_a_bounded_context(places: Places) -> None:
    found = refused(places, "model.max_model_len=", preset="l4-budget")
    assert list(found) == ["model.max_model_len"]
    assert "the model's own context of 131072 tokens needs 16.0 GiB" in found["model.max_model_len"]
    assert "nvidia-l4" in found["model.max_model_len"]
    assert "16384" in found["model.max_model_len"]
    assert load(places, "model.max_model_len=16384", preset="l4-budget").model.max_model_len == 16384


def test_beyond_the_catalogue_the_cloud_decides_and_the_refusal_becomes_a_note(places: Places) -> None:
    settings = [f"{WEST}.provisioning=on-demand", f"{WEST}.zones=[europe-west3-a]"]
    assert all("beyond_catalog: true" in message for message in refused(places, *settings).values())
    spec = load(places, *settings, "beyond_catalog=true")
    told = {note.path: note.text for note in rules.notes(spec)}
    assert "spot or flex-start" in told["clusters[0].gpu_pool.provisioning"]
    assert "europe-west3-c" in told["clusters[0].gpu_pool.zones[0]"]


@pytest.mark.parametrize("setting", ["versions.gke=1.33", "model.id=Qwen/Qwen3-32B"])
def test_what_is_no_matter_of_the_catalogue_stays_refused(places: Places, setting: str) -> None:
    assert refused(places, setting, "beyond_catalog=true")


def test_the_tightest_cluster_decides_whether_a_model_fits(places: Places) -> None:
    small = [
        f"clusters.gke-east.gpu_pool.{one}"
        for one in ("machine_type=g2-standard-12", "accelerator=nvidia-l4", "accelerators_per_node=1")
    ]
    assert "nvidia-l4 on gke-east" in refused(places, *small)["model.max_model_len"]


def test_a_cluster_without_gpus_has_a_region_all_the_same(places: Places) -> None:
    spec = load(places)
    fleet = spec.config.model_copy(update={"name": "fleet", "gpu_pool": None, "region": "us-east44"})
    wanted = spec.model_copy(update={"clusters": (*spec.clusters, fleet), "config_cluster": "fleet"})
    assert problems(wanted) == []
    assert [problem.path for problem in rules.refusals(wanted)] == ["clusters[2].region"]


# --- notes ------------------------------------------------------------------------------------------------------------


def test_packaged_presets_have_nothing_to_be_noted(places: Places) -> None:
    for source in presets.presets(places):
        assert rules.notes(presets.load(source)) == [], source.name


def test_idle_gpus_are_said_aloud_with_their_price(places: Places) -> None:
    found = rules.notes(load(places, "model.replicas=3", preset="two-region-h100"))
    assert [note.path for note in found] == ["model.replicas"] * 2
    assert [note.usd_per_hour for note in found] == [
        pytest.approx(1.5 * 18.376, abs=0.01),
        pytest.approx(13.365, abs=0.01),
    ]
    assert found[0].text.startswith("3 GPUs of 6 on gke-west stay idle: 3 model servers")


@pytest.mark.parametrize(
    ("settings", "path", "words"),
    [
        ([f"{WEST}.machine_type=a3-highgpu-2"], "clusters[0].gpu_pool.machine_type", "did you mean a3-highgpu-2g?"),
        ([f"{WEST}.provisioning=flex-start"], "clusters[0].gpu_pool.provisioning", "7 days"),
        ([f"{WEST}.provisioning=flex-start"], "clusters[0].gpu_pool.machine_type", "price"),
        (["versions.channel=stable"], "versions.channel", "stable channel"),
        (["model.image=vllm/vllm-openai:latest"], "model.image", "vllm:kv_cache_usage_perc"),
        (["model.image=vllm/vllm-openai:v0.15.1"], "model.image", "newer than the recipe"),
        (["clusters.gke-west.proxy_subnet=10.129.0.0/23"], "clusters[0].proxy_subnet", "10.128.0.0/9"),
    ],
)
def test_what_should_be_known_is_noted_at_its_field(places: Places, settings: list[str], path: str, words: str) -> None:
    assert any(note.path == path and words in note.text for note in rules.notes(load(places, *settings)))


# --- the catalogue behind it ------------------------------------------------------------------------------------------


def test_the_catalogue_agrees_with_itself() -> None:
    known = set(catalog.regions())
    for shape in catalog.shapes().values():
        assert catalog.gpu_memory(shape.accelerator) is not None
        regions = catalog.regions_with(shape.accelerator)
        assert regions is not None
        assert set(regions) <= known


def test_nearest_regions_are_near() -> None:
    assert catalog.nearest("europe-west3", ["us-east4", "europe-west4", "asia-east1"])[0] == "europe-west4"
    assert catalog.nearest("us-west1", ["europe-west1", "asia-northeast1", "us-west2", "us-west1"])[0] == "us-west2"


def test_every_pool_is_told_with_its_path(places: Places) -> None:
    found = catalog_rules.gpu_pools(load(places, preset="three-region"))
    assert [(path, cluster.name) for path, cluster, _ in found] == [
        ("clusters[0].gpu_pool", "gke-europe"),
        ("clusters[1].gpu_pool", "gke-us"),
        ("clusters[2].gpu_pool", "gke-asia"),
    ]
