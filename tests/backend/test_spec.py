"""A specification is refused with every problem at its place, and YAML carries it there and back unchanged."""

from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from backend import spec_fields, spec_yaml, yaml_tree
from backend.errors import SpecError
from backend.spec import BalancingMode, GatewaySpec, Provisioning, problems

SMALL = """\
name: small
target: emulator
config_cluster: west
clusters:
  - name: west
    region: europe-west3
    gpu_pool: {zones: [europe-west3-c], accelerator: l4, accelerators_per_node: 1, machine_type: g2, nodes: 2}
  - name: east
    region: us-east4
    gpu_pool: {zones: [us-east4-a], accelerator: l4, accelerators_per_node: 1, machine_type: g2, nodes: 2}
"""


def load(text: str, *settings: str) -> GatewaySpec:
    return spec_yaml.load(text, "my.yaml", settings=settings)


def told(text: str, *settings: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load(text, *settings)
    assert caught.value.fix
    lines = caught.value.message.splitlines()
    for jargon in ("pydantic", "str_type", "extra_forbidden", "Input should", "validation error", "NoneType"):
        assert jargon not in caught.value.message
    return lines


def only(text: str, *settings: str) -> str:
    lines = told(text, *settings)
    assert len(lines) == 1, lines
    return lines[0]


# --- both ways -------------------------------------------------------------------------------------------------------

_names = st.from_regex(r"[a-z]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
_text = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=30).map(str.strip)
_L4_MACHINES = [
    {"machine_type": f"g2-standard-{cpus}", "accelerators_per_node": gpus} for cpus, gpus in ((12, 1), (24, 2), (96, 8))
]
_regions = ["europe-west3", "us-east4", "us-central1", "asia-southeast1"]


@st.composite
def data(draw: st.DrawFn) -> dict[str, Any]:
    regions = draw(st.lists(st.sampled_from(_regions), min_size=2, max_size=4, unique=True))
    clusters = [
        {
            "name": f"c{number}-{draw(_names)}",
            "region": region,
            "proxy_subnet": draw(st.sampled_from(["auto", f"10.{number}.0.0/23", f"192.168.{number}.0/26"])),
            "gpu_pool": {
                "name": draw(_names.filter(lambda name: name != "default-pool")),
                "zones": [f"{region}-{zone}" for zone in draw(st.sets(st.sampled_from("abc"), min_size=1))],
                "accelerator": "nvidia-l4",
                **draw(st.sampled_from(_L4_MACHINES)),
                "nodes": draw(st.integers(1, 100)),
                "provisioning": draw(st.sampled_from(["spot", "flex-start", "on-demand"])),
            },
        }
        for number, region in enumerate(regions)
    ]
    mode = draw(
        st.sampled_from(
            [
                {"mode": "CUSTOM_METRICS", "max_utilization_percent": draw(st.integers(1, 100))},
                {"mode": "IN_FLIGHT", "max_in_flight_requests_per_endpoint": draw(st.integers(1, 10**6))},
                {"mode": "IN_FLIGHT"},
            ]
        )
    )
    return {
        "name": draw(_names),
        "description": draw(_text),
        "target": draw(st.sampled_from(["gke", "emulator"])),
        "project": draw(st.sampled_from([None, "demo-project", "a12345"])),
        "config_cluster": clusters[0]["name"],
        "clusters": clusters,
        "model": {"max_model_len": draw(st.integers(256, 16_384))},
        "balancing": mode,
        "timeout_s": draw(st.integers(1, 3600)),
        "guard": draw(st.sampled_from([None, {"usd": 12.5}, {"hours": 4}])),
        "rehearsal": {"speed": draw(st.one_of(st.just("max"), st.floats(0.001, 1e6))), "seed": draw(st.integers())},
    }


@settings(max_examples=60, deadline=None)
@given(data())
def test_yaml_carries_a_spec_there_and_back(wanted: dict[str, Any]) -> None:
    spec = load(yaml.safe_dump(wanted))
    text = spec_yaml.dump(spec)
    assert load(text) == spec
    assert spec_yaml.dump(load(text)) == text
    assert problems(spec) == []


def test_the_packaged_preset_keeps_to_the_contract() -> None:
    spec = spec_yaml.load(Path("presets/rehearsal.yaml").read_text(), "presets/rehearsal.yaml")
    assert (spec.target, spec.project) == ("emulator", "demo-project")
    assert [(cluster.name, cluster.region) for cluster in spec.clusters] == [
        ("gke-west", "europe-west3"),
        ("gke-east", "us-east4"),
    ]
    assert all(cluster.serving_pool.provisioning is Provisioning.SPOT for cluster in spec.clusters)
    assert [adapter.name for adapter in spec.model.adapters] == ["food-review-1"]
    assert spec.model.served_name == "food-review-1"
    assert spec.model.model_copy(update={"adapters": ()}).served_name == spec.model.id


def test_fields_left_out_take_their_defaults() -> None:
    spec = load(SMALL)
    assert spec.balancing.max_utilization_percent == 60
    assert spec.replicas(spec.clusters[0]) == 2
    assert spec.gateway.gateway_class == "gke-l7-cross-regional-internal-managed-mc"


def test_the_file_name_names_a_spec_without_a_name() -> None:
    spec = spec_yaml.load(SMALL.replace("name: small\n", "", 1), "x.yaml", name="from-file")
    assert spec.name == "from-file"


# --- what is wrong, and where -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: [1,\nb: }", "my.yaml:2:4: ", "not valid YAML"),
        ("", "my.yaml:1: ", "empty"),
        ("# only a comment\n", "my.yaml:1: ", "empty"),
        ("- a\n- b\n", "my.yaml:1: ", "block of keys"),
        ("name: a\n---\nname: b\n", "my.yaml:2:1: ", "single document"),
        ("name: a\n\x07", "my.yaml:2: ", "U+0007"),
        ("&a [*a]", "my.yaml:1:1: ", "contains itself"),
        ("name: !!python/object/apply:os.system [ls]", "my.yaml:1:7: ", "not valid YAML"),
        ("{[a]: b}", "my.yaml:1:2: ", "single word"),
        ("a: .nan", "my.yaml:1:4: ", "not a number"),
        ("a: 2024-99-99", "my.yaml:1:4: ", "month"),
        ("[" * 5000, "my.yaml:1: ", "nested too deeply"),
    ],
)
def test_text_that_is_no_specification(text: str, place: str, words: str) -> None:
    line = only(text)
    assert line.startswith(place)
    assert words in line


def test_repeated_anchors_cannot_blow_up() -> None:
    laughs = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdef", "bcdefg", strict=True)
    )
    assert "too many values" in only(laughs)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("name: small", "name: small\nname: other", "my.yaml:2 name: is given twice, first on line 1; keep one"),
        ("region: us-east4", "regin: us-east4", "my.yaml:9 clusters[1].regin: is unknown; did you mean region?"),
        ("target: emulator", "target: emulater", "did you mean emulator?"),
        ("target: emulator", "hf_token: hf_abc", "my.yaml:2 hf_token: is unknown; the Hugging Face token is no part"),
        ("target: emulator", "private_nodes: true", "my.yaml:2 private_nodes: is not supported: nodes have public"),
        (
            "nodes: 2}\n  - name",
            "nodes: x}\n  - name",
            'clusters[0].gpu_pool.nodes: must be a whole number, not "x"',
        ),
        ("name: small", "name: yes", "my.yaml:1 name: must be a text, not true; put it in quotes"),
        ("name: small", "name: Small", "my.yaml:1 name: must be a name of lower-case letters"),
        ("zones: [us-east4-a]", "zones: [us-east4]", "clusters[1].gpu_pool.zones[0]: must be a zone, such as"),
        ("zones: [us-east4-a]", "zones: us-east4-a", "clusters[1].gpu_pool.zones: must be a list of texts"),
        ("zones: [us-east4-a]", "zones: []", "clusters[1].gpu_pool.zones: needs one entry or more"),
        ("zones: [us-east4-a]", "zones: [us-west1-a]", "zones[0]: us-west1-a is not a zone of us-east4"),
        ("region: us-east4", "region: europe-west3", "my.yaml:9 clusters[1].region: europe-west3 is taken"),
        ("config_cluster: west", "config_cluster: north", "my.yaml:3 config_cluster: north is none of the clusters"),
        ("target: emulator", "timeout_s: 9999", "my.yaml:2 timeout_s: must be at most 3600, not 9999"),
        ("target: emulator", "network: default", 'network: must be a block with vpc, subnetwork, not "default"'),
        ("target: emulator", "project: 123456", "my.yaml:2 project: must be a text, not 123456; put it in quotes"),
        ("target: emulator", "model: {replicas: many}", 'model.replicas: must be auto or a whole number, not "many"'),
        ("target: emulator", "model: {replicas: 0}", "model.replicas: must be at least 1, not 0"),
        (
            "target: emulator",
            "balancing: {mode: IN_FLIGHT, max_utilization_percent: 60}",
            "my.yaml:2 balancing.max_utilization_percent: does not go with mode IN_FLIGHT",
        ),
        (
            "target: emulator",
            "balancing: {max_utilization_percent: 600}",
            "my.yaml:2 balancing.max_utilization_percent: must be at most 100, not 600",
        ),
    ],
)
def test_each_problem_stands_at_its_line(old: str, new: str, expected: str) -> None:
    assert old in SMALL
    lines = told(SMALL.replace(old, new, 1))
    assert any(expected in line for line in lines), lines


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("10.0.0.0/8", "from /23 to /26"),
        ("8.8.8.0/23", "private range"),
        ("10.0.0.1/23", "host bits"),
        ("wide", "auto or a range such as"),
    ],
)
def test_proxy_subnets(value: str, words: str) -> None:
    assert words in only(SMALL, f"clusters[0].proxy_subnet={value}")


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    text = SMALL.replace("target: emulator", "target: moon").replace("region: us-east4", "region: Nowhere")
    lines = told(f"{text}surprise: 1\n")
    assert [line.split(":")[1].split()[0] for line in lines] == ["2", "9", "11"]


def test_one_cluster_is_not_enough() -> None:
    one = "\n".join(SMALL.splitlines()[:7])
    assert only(one) == "my.yaml:4 clusters: a multi-cluster gateway needs two or more clusters, got 1"


# --- overrides --------------------------------------------------------------------------------------------------------


def test_settings_reach_into_lists_by_position_and_by_name() -> None:
    spec = load(SMALL, "clusters[0].gpu_pool.nodes=3", "clusters.east.gpu_pool.nodes=4", "guard.usd=50")
    assert [cluster.serving_pool.nodes for cluster in spec.clusters] == [3, 4]
    assert spec.guard is not None
    assert spec.guard.usd == 50


def test_settings_take_lists_null_and_ranges() -> None:
    spec = load(SMALL, "clusters.west.gpu_pool.zones=[europe-west3-a, europe-west3-b]", "project=abc-123", "project=")
    assert spec.clusters[0].serving_pool.zones == ("europe-west3-a", "europe-west3-b")
    assert spec.project is None
    spec = load(SMALL, "clusters.west.proxy_subnet=10.9.0.0/24", "rehearsal.speed=max")
    assert spec.clusters[0].proxy_subnet == IPv4Network("10.9.0.0/24")
    assert spec.rehearsal.speed == "max"


def test_text_fields_take_a_setting_as_it_stands() -> None:
    assert load(SMALL, "description=yes: 1 # no comment").description == "yes: 1 # no comment"


@pytest.mark.parametrize("given", ["max_utilization_percent: 60", "max_utilization_percent: 75"])
def test_changing_the_mode_alone_is_valid(given: str) -> None:
    text = f"{SMALL}balancing: {{mode: CUSTOM_METRICS, {given}}}\n"
    balancing = load(text, "balancing.mode=IN_FLIGHT").balancing
    assert balancing.mode is BalancingMode.IN_FLIGHT
    assert (balancing.max_utilization_percent, balancing.max_in_flight_requests_per_endpoint) == (None, 1000)
    back = load(spec_yaml.dump(load(text, "balancing.mode=IN_FLIGHT")), "balancing.mode=CUSTOM_METRICS").balancing
    assert (back.max_utilization_percent, back.max_in_flight_requests_per_endpoint) == (60, None)


def test_both_modes_in_settings_stay_a_problem() -> None:
    line = only(SMALL, "balancing.mode=IN_FLIGHT", "balancing.max_utilization_percent=60")
    assert line.startswith("--set balancing.max_utilization_percent: does not go with mode IN_FLIGHT")


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("balancing.mod=IN_FLIGHT", "balancing.mod: is no field of a specification; did you mean balancing.mode?"),
        ("speed=3", "did you mean rehearsal.speed?"),
        ("clusters[7].region=x", "clusters has no [7]; there is [0] west, [1] east"),
        ("clusters.north.region=x", "clusters has no north; there is [0] west, [1] east"),
        ("clusters[0].region.x=1", "leads nowhere: clusters[0].region is a text"),
        ("nonsense", "is not of the form path=value"),
        ("=3", "is not of the form path=value"),
        ("a..b=3", "is not a path such as"),
        ("clusters[x=3", "is not a path such as"),
        ("clusters=[1", "not valid YAML"),
        ("timeout_s=soon", '--set timeout_s: must be a whole number, not "soon"'),
        ("zzz=1", "the top has name,"),
        ("clusters.west.dns_endpoint=true", "is not supported: the control planes have public endpoints"),
    ],
)
def test_a_setting_that_cannot_be_made(setting: str, expected: str) -> None:
    assert expected in only(SMALL, setting)


@given(st.text(max_size=40))
@settings(max_examples=150, deadline=None)
def test_no_setting_and_no_text_ever_fails_otherwise(text: str) -> None:
    for document, changes in ((SMALL, [text]), (text, []), (SMALL, [f"clusters[0].{text}=1"])):
        try:
            assert load(document, *changes).clusters
        except SpecError as error:
            assert error.problems


def test_every_pattern_of_the_models_has_words() -> None:
    schema = str(GatewaySpec.model_json_schema())
    for pattern in spec_fields.PATTERNS:
        assert repr(pattern)[1:-1] in schema
    assert schema.count("'pattern'") > 0


def test_a_place_falls_back_to_the_nearest_parent() -> None:
    tree = yaml_tree.read(SMALL, "my.yaml")
    assert tree.place(("clusters", 1, "gpu_pool", "name")) == "my.yaml:10"
    assert tree.place(("timeout_s",)) == "my.yaml:1"
