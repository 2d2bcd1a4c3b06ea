"""The ways on after a stock-out are whole, keep what was won, and come nearest first."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from backend import catalog, overrides
from backend.presets import Places, find, load
from backend.spec import GatewaySpec, GpuPool, Provisioning, problems
from backend.stockout import Alternative, Fallback, alternatives, next_pool
from backend.yaml_tree import Tree

PLACES = Places.of({"MCIG_HOME": "/nonexistent"})
BASE = load(find("rehearsal", PLACES))


def regions() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for zone in catalog.zones("nvidia-h100-80gb") or ():
        found.setdefault(zone.rpartition("-")[0], []).append(zone)
    return found


@st.composite
def specs(draw: st.DrawFn) -> GatewaySpec:
    first, second = draw(st.permutations(sorted(regions())))[:2]
    data = BASE.to_data()
    for cluster, region in zip(data["clusters"], (first, second), strict=True):
        shape = catalog.shapes()[draw(st.sampled_from(["a3-highgpu-1g", "a3-highgpu-2g", "a3-highgpu-8g"]))]
        cluster["region"] = region
        cluster["gpu_pool"] |= {
            "zones": draw(st.lists(st.sampled_from(regions()[region]), min_size=1, unique=True)),
            "machine_type": shape.machine_type,
            "accelerators_per_node": shape.accelerators,
            "nodes": draw(st.integers(1, 4)),
            "provisioning": draw(st.sampled_from(["spot", "flex-start"])),
        }
    data["config_cluster"] = draw(st.sampled_from(["gke-west", "gke-east"]))
    spec = GatewaySpec.model_validate(data)
    assert problems(spec) == []
    return spec


def pool_of(spec: GatewaySpec, way: Alternative, cluster: str) -> GpuPool:
    (changed,) = [
        one
        for one in way.spec.targets
        if one not in spec.targets and (way.kind is Fallback.REGION or one.name == cluster)
    ]
    return changed.serving_pool


@given(specs(), st.sampled_from(["gke-west", "gke-east"]))
@settings(max_examples=60, deadline=None)
def test_every_way_is_whole_and_changes_one_cluster(spec: GatewaySpec, cluster: str) -> None:
    before = next(one for one in spec.clusters if one.name == cluster)
    others = [one for one in spec.clusters if one.name != cluster]
    ways = alternatives(spec, cluster)
    assert ways
    for way in ways:
        assert problems(way.spec) == []
        assert [one for one in way.spec.clusters if one in others] == others
        assert way.spec.config_cluster == spec.config_cluster
        assert len(way.spec.targets) == len(spec.targets)
        pool = pool_of(spec, way, cluster)
        assert pool.gpus >= before.serving_pool.gpus
        assert pool.provisioning in catalog.shapes()[pool.machine_type].buy_as
        match way.kind:
            case Fallback.ZONE:
                assert not set(pool.zones) & set(before.serving_pool.zones)
                assert pool.machine_type == before.serving_pool.machine_type
            case Fallback.SHAPE:
                assert pool.zones == before.serving_pool.zones
                assert pool.machine_type != before.serving_pool.machine_type
            case Fallback.REGION:
                assert not {zone.rpartition("-")[0] for zone in pool.zones} & set(spec.regions)
    kinds = [way.kind for way in ways]
    assert kinds == sorted(kinds, key=list(Fallback).index), "zones, then shapes, then regions"


@given(specs(), st.sampled_from(["gke-west", "gke-east"]))
@settings(max_examples=30, deadline=None)
def test_what_is_told_to_set_gives_the_same_specification(spec: GatewaySpec, cluster: str) -> None:
    for way in alternatives(spec, cluster):
        changed = overrides.apply(Tree(spec.to_data(), {}), way.settings)
        assert changed.problems == ()
        assert GatewaySpec.model_validate(changed.data) == way.spec


@given(specs())
@settings(max_examples=40, deadline=None)
def test_a_cluster_that_moves_gets_a_name_of_its_own(spec: GatewaySpec) -> None:
    for way in alternatives(spec, spec.config_cluster):
        if way.kind is Fallback.REGION:
            names = [one.name for one in way.spec.clusters]
            assert len(set(names)) == len(names) == len(spec.clusters) + 1
            assert all(len(name) <= 40 for name in names)
            assert way.spec.config.gpu_pool is None, "the gateway stays, its GPUs go"
            assert way.spec.config.region == spec.config.region


@given(specs(), st.data())
@settings(max_examples=40, deadline=None)
def test_zones_are_tried_one_after_the_other_until_none_is_left(spec: GatewaySpec, data: st.DataObject) -> None:
    cluster = data.draw(st.sampled_from(spec.clusters))
    pool, out = cluster.serving_pool, set[str]()
    offered = set(regions()[cluster.region])
    for _ in itertools.count():
        out.add(data.draw(st.sampled_from([zone for zone in pool.zones if zone not in out])))
        following = next_pool(pool, cluster.region, out)
        if following is None:
            break
        assert not set(following.zones) & out
        assert following.gpus >= cluster.serving_pool.gpus
        pool = following
    assert out | set(pool.zones) >= offered


def test_the_nearest_region_comes_first() -> None:
    ways = [way.words for way in alternatives(BASE, "gke-east") if way.kind is Fallback.REGION]
    assert ways[0].startswith("us-east5: 1 x a3-highgpu-2g in us-east5-a, as cluster gke-east-us-east5")
    assert not any(way.startswith("europe-west3") for way in ways), "taken by the other cluster"


def test_a_gpu_that_the_catalogue_does_not_know_has_no_ways() -> None:
    data = BASE.to_data()
    data["clusters"][0]["gpu_pool"] |= {"accelerator": "nvidia-unknown", "machine_type": "x", "provisioning": "spot"}
    spec = GatewaySpec.model_validate(data)
    assert next_pool(spec.clusters[0].serving_pool, "europe-west3", {"europe-west3-c"}) is None
    assert spec.clusters[0].serving_pool.provisioning is Provisioning.SPOT
