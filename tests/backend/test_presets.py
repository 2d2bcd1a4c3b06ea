"""A name leads to one specification, or to a list of what there is."""

import json
import os
from pathlib import Path

import jsonschema
import pytest
import yaml

from backend import presets
from backend.errors import SpecError, UsageError
from backend.places import Places, write_private
from backend.rules import refusals
from backend.spec import GatewaySpec, problems

REHEARSAL = Path("presets/rehearsal.yaml").read_text()
PACKAGED = ["in-flight", "l4-budget", "rehearsal", "three-region", "two-region-h100"]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places.of({"MCIG_HOME": str(tmp_path / "home")})


def described(text: str) -> str:
    return REHEARSAL.replace("Two regions on the emulated cloud of this machine, no account and no cost", text)


def test_the_package_has_the_rehearsal(places: Places) -> None:
    source = presets.find("rehearsal", places)
    assert (source.kind, source.name) == ("preset", "rehearsal")
    assert presets.load(source).name == "rehearsal"
    assert "no cost" in source.description


def test_a_path_comes_before_a_stack_before_a_user_preset_before_the_package(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = ["preset"]
    assert presets.find("rehearsal", places).kind == expected[-1]
    write_private(places.presets / "rehearsal.yaml", described("mine"))
    assert presets.find("rehearsal", places).kind == "user preset"
    write_private(places.stack("rehearsal"), described("as applied"))
    assert presets.find("rehearsal", places).kind == "stack"
    (tmp_path / "rehearsal").write_text(described("here"))
    source = presets.find("rehearsal", places)
    assert (source.kind, source.description) == ("file", "here")


def test_a_preset_gives_the_stack_its_name(places: Places) -> None:
    write_private(places.presets / "mine.yaml", REHEARSAL.replace("name: rehearsal\n", "", 1))
    assert presets.load(presets.find("mine", places)).name == "mine"


def test_settings_apply_to_what_is_found(places: Places) -> None:
    spec = presets.load(presets.find("rehearsal", places), ["target=gke", "clusters.gke-west.gpu_pool.nodes=3"])
    assert (spec.target, spec.clusters[0].serving_pool.nodes) == ("gke", 3)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("rehersal", "there is no file, stack or preset called rehersal"),
        ("nowhere.yaml", "does not exist"),
        ("no/such/file", "does not exist"),
        ("/", "is a folder"),
    ],
)
def test_what_is_not_there(places: Places, reference: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        presets.find(reference, places)
    assert caught.value.fix


def test_a_near_miss_names_the_match_and_everything_there_is(places: Places) -> None:
    write_private(places.presets / "mine.yaml", REHEARSAL)
    with pytest.raises(UsageError) as caught:
        presets.find("rehersal", places)
    assert caught.value.fix == "did you mean rehearsal?"
    assert "rehearsal (preset)" in caught.value.cause
    assert "mine (user preset)" in caught.value.cause


def test_a_file_that_is_no_text(places: Places, tmp_path: Path) -> None:
    path = tmp_path / "photo.yaml"
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(UsageError, match="not a text in UTF-8"):
        presets.find(str(path), places)


def test_a_byte_order_mark_does_not_matter(places: Places, tmp_path: Path) -> None:
    path = tmp_path / "windows.yaml"
    path.write_text(REHEARSAL, encoding="utf-8-sig")
    assert presets.load(presets.find(str(path), places)).name == "rehearsal"


def test_problems_name_the_file_as_it_was_given(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text("name: a\n")
    with pytest.raises(SpecError, match=r"^bad\.yaml:1 config_cluster: is missing"):
        presets.load(presets.find("bad.yaml", places))


def test_the_last_stack_is_the_one_applied_last(places: Places) -> None:
    with pytest.raises(UsageError, match="no stack is set up"):
        presets.last_stack(places)
    for position, name in enumerate(["b", "c", "a"]):
        write_private(places.stack(name), REHEARSAL)
        os.utime(places.stack(name), (position, position))
    assert presets.last_stack(places).name == "a"
    os.utime(places.stack("b"), (9, 9))
    assert presets.last_stack(places).name == "b"


def test_saving_keeps_the_text_word_for_word(places: Places) -> None:
    text = f"# my comment\n{REHEARSAL}"
    path = presets.save("mine", text, "x.yaml", places)
    assert path.read_text() == text
    assert path.stat().st_mode & 0o777 == 0o600
    assert [source.name for source in presets.presets(places)] == ["mine", *PACKAGED]
    assert presets.save("mine", text, "x.yaml", places) == path, "the same again changes nothing"


def test_saving_replaces_nothing_unasked(places: Places) -> None:
    path = presets.save("mine", REHEARSAL, "x.yaml", places)
    with pytest.raises(presets.PresetExists, match="another preset called mine") as caught:
        presets.save("mine", described("other"), "x.yaml", places)
    assert str(path) in caught.value.cause
    assert "--yes" in caught.value.fix
    assert path.read_text() == REHEARSAL
    assert presets.save("mine", described("other"), "x.yaml", places, replace=True) == path
    assert path.read_text() == described("other")


def test_saving_keeps_to_the_file_that_is_there(places: Places) -> None:
    write_private(places.presets / "mine.yml", REHEARSAL)
    assert presets.save("mine", described("other"), "x.yaml", places, replace=True).name == "mine.yml"


@pytest.mark.parametrize("name", ["", "Mine", "../mine", "-x", "a" * 41])
def test_a_preset_needs_a_proper_name(places: Places, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a preset's name"):
        presets.save(name, REHEARSAL, "x.yaml", places)
    assert not places.presets.exists()


def test_a_bad_specification_is_not_saved(places: Places) -> None:
    with pytest.raises(SpecError, match=r"x\.yaml:1"):
        presets.save("mine", "name: mine\n", "x.yaml", places)
    assert not places.presets.exists()


def test_listing_survives_broken_presets_and_says_what_is_wrong(places: Places) -> None:
    write_private(places.presets / "broken.yaml", "a: [")
    write_private(places.presets / "empty.yaml", "")
    write_private(places.presets / "good.yaml", REHEARSAL)
    write_private(places.presets / "several.yaml", described("mine").replace("nodes: 1", "nodes: 0"))
    (places.presets / "photo.yaml").write_bytes(b"\xff\xd8")
    found = {source.name: source for source in presets.presets(places)}
    assert set(found) == {"broken", "empty", "good", "several", "photo", *PACKAGED}
    told = {name: presets.trouble(source) for name, source in found.items()}
    assert {name for name, trouble in told.items() if trouble} == {"broken", "empty", "several", "photo"}
    assert "broken.yaml:1" in str(told["broken"])
    assert str(told["several"]).endswith("(and 1 more)")
    assert "not a text in UTF-8" in str(told["photo"])
    assert found["several"].description == "mine"
    assert presets.find("rehearsal", places).name == "rehearsal", "one that cannot be read hides no other"
    with pytest.raises(UsageError, match="not a text in UTF-8"):
        presets.find("photo", places)
    with pytest.raises(UsageError, match="not a text in UTF-8"):
        presets.load(found["photo"])


# --- the package's own ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PACKAGED)
def test_each_preset_says_who_it_is_for_and_has_no_problem(places: Places, name: str) -> None:
    source = presets.find(name, places)
    spec = presets.load(source)
    assert spec.name == name
    assert 20 < len(source.description) < 120
    assert problems(spec) == []
    assert refusals(spec) == []
    rehearsed = presets.load(source, ["target=emulator", "project=demo-project"])
    assert rehearsed.clusters == spec.clusters


def test_the_documents_example_is_the_documents(places: Places) -> None:
    spec = presets.load(presets.find("two-region-h100", places))
    pools = [(cluster.region, cluster.serving_pool) for cluster in spec.clusters]
    assert [(region, pool.zones, pool.machine_type, pool.nodes, pool.provisioning) for region, pool in pools] == [
        ("europe-west3", ("europe-west3-c",), "a3-highgpu-2g", 3, "spot"),
        ("us-east4", ("us-east4-a",), "a3-highgpu-2g", 3, "spot"),
    ]
    assert {cluster.default_pool.machine_type for cluster in spec.clusters} == {"c2-standard-16"}
    assert (spec.config_cluster, spec.timeout_s, spec.target, spec.project) == ("gke-west", 100, "gke", None)
    assert (spec.balancing.mode, spec.balancing.max_utilization_percent) == ("CUSTOM_METRICS", 60)
    assert (spec.model.id, spec.model.image) == ("meta-llama/Llama-3.1-8B-Instruct", "vllm/vllm-openai:v0.8.5")
    assert [spec.replicas(cluster) for cluster in spec.clusters] == [6, 6], "no GPU is idle"


def test_the_others_are_what_their_names_say(places: Places) -> None:
    def named(name: str) -> GatewaySpec:
        return presets.load(presets.find(name, places))

    assert named("in-flight").balancing.mode == "IN_FLIGHT"
    assert named("in-flight").balancing.max_in_flight_requests_per_endpoint == 1000
    assert {cluster.serving_pool.accelerator for cluster in named("l4-budget").clusters} == {"nvidia-l4"}
    assert named("l4-budget").model.max_model_len == 8192
    assert len({region.partition("-")[0] for region in named("three-region").regions}) == 3


# --- the schema -------------------------------------------------------------------------------------------------------


@pytest.fixture
def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads(json.dumps(presets.schema()))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", PACKAGED)
def test_the_schema_accepts_the_presets(places: Places, validator: jsonschema.Draft202012Validator, name: str) -> None:
    source = presets.find(name, places)
    data = yaml.safe_load(source.text)
    validator.validate(data)
    validator.validate({key: value for key, value in data.items() if key != "name"})
    validator.validate(presets.load(source).to_data())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["surprise"], 1),
        (["timeout_s"], 9999),
        (["clusters", 0, "gpu_pool", "machinetype"], "a3-highgpu-2g"),
        (["clusters", 0, "gpu_pool", "provisioning"], "sport"),
        (["clusters", 0, "gpu_pool", "zones"], []),
        (["clusters", 0, "region"], "Frankfurt"),
        (["gateway"], {"class": "gke-l7-gxlb"}),
        (["balancing"], {"mode": "custom"}),
        (["model", "replicas"], "many"),
    ],
)
def test_the_schema_refuses_a_slip(
    validator: jsonschema.Draft202012Validator, path: list[str | int], value: object
) -> None:
    data = yaml.safe_load(REHEARSAL)
    here = data
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = value
    assert not validator.is_valid(data)


def test_the_schema_tells_an_editor_what_each_field_is() -> None:
    schema = presets.schema()
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert schema["$id"]
    blocks = {"": schema, **schema["$defs"]}
    silent = [
        f"{block}.{key}"
        for block, described in blocks.items()
        for key, field in described.get("properties", {}).items()
        if not field.get("description") and "$ref" not in field
    ]
    assert silent == []
    assert all(described.get("description") for described in blocks.values()), "what a reference leads to, too"
    provisioning = schema["$defs"]["Provisioning"]
    assert len(provisioning["enumDescriptions"]) == len(provisioning["enum"])
    assert all(
        text for described in schema["$defs"].values() if "enum" in described for text in described["enumDescriptions"]
    ), "every choice is explained"
    assert schema["$defs"]["Provisioning"]["enumDescriptions"][0].startswith("Cheapest")
