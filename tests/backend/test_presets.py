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

REHEARSAL = Path("presets/rehearsal.yaml").read_text()


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
    with pytest.raises(UsageError, match="no stack yet"):
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
    assert [source.name for source in presets.presets(places)] == ["mine", "rehearsal"]


@pytest.mark.parametrize("name", ["", "Mine", "../mine", "-x", "a" * 41])
def test_a_preset_needs_a_proper_name(places: Places, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a preset's name"):
        presets.save(name, REHEARSAL, "x.yaml", places)
    assert not places.presets.exists()


def test_a_bad_specification_is_not_saved(places: Places) -> None:
    with pytest.raises(SpecError, match=r"x\.yaml:1"):
        presets.save("mine", "name: mine\n", "x.yaml", places)
    assert not places.presets.exists()


def test_listing_survives_a_broken_preset(places: Places) -> None:
    write_private(places.presets / "broken.yaml", "a: [")
    assert {source.name: source.description != "" for source in presets.presets(places)} == {
        "broken": False,
        "rehearsal": True,
    }


def test_the_schema_accepts_the_presets_and_refuses_what_is_unknown() -> None:
    schema = json.loads(json.dumps(presets.schema()))
    validator = jsonschema.Draft202012Validator(schema)
    data = yaml.safe_load(REHEARSAL)
    validator.validate(data)
    assert not validator.is_valid({**data, "surprise": 1})
    assert not validator.is_valid({**data, "timeout_s": 9999})
