"""The questions: every field of a specification is asked for exactly once, and answers survive being typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend import fields, presets, spec_fields
from backend.draft import Draft
from backend.fields import PAGES, Field, Kind
from backend.places import Places
from backend.preflight.findings import Topic
from backend.spec import GatewaySpec, Provisioning

ALL = [field for page in PAGES for field in page.fields]


def field_at(path: str) -> Field:
    """The one field of a path."""
    (found,) = [field for field in ALL if field.path == path]
    return found


def leaves() -> set[str]:
    """Every field of a specification that is no block; a list of blocks counts as one."""
    paths = [path.replace("[0]", "[]") for path in spec_fields.all_paths()]
    above = {path.rpartition(".")[0].removesuffix("[]") for path in paths}
    lists = {"clusters[]", "model.adapters[]", "model.adapters[].name", "model.adapters[].source"}
    return (set(paths) - above - lists) | {"model.adapters", "clusters"}


@pytest.fixture
def draft(spec: GatewaySpec) -> Draft:
    return Draft.of(spec)


def test_every_field_of_a_specification_is_asked_for_once() -> None:
    asked = [field.path for field in ALL]
    assert len(asked) == len(set(asked))
    assert set(asked) == leaves()


def test_every_field_has_words() -> None:
    for field in ALL:
        assert field.label
        assert field.help, field.path
        assert "``" not in field.help


def test_topics_are_those_of_the_checks() -> None:
    told = [topic for page in PAGES for topic in page.topics]
    assert set(told) == {str(topic) for topic in Topic}
    assert len(told) == len(set(told))


@pytest.mark.parametrize("preset", ["rehearsal", "two-region-h100", "in-flight", "l4-budget", "three-region"])
def test_what_is_shown_is_read_back(preset: str, tmp_path: Path) -> None:
    places = Places.of({"MCIG_HOME": str(tmp_path)})
    draft = Draft.of(presets.load(presets.find(preset, places)))
    for field in ALL:
        for value in draft.all(field.path) if field.kind is not Kind.CLUSTERS else ():
            assert field.parse(field.show(value)) == value, field.path


@pytest.mark.parametrize(
    ("path", "typed", "meant"),
    [
        ("timeout_s", " 300 ", 300),
        ("timeout_s", "soon", "soon"),
        ("model.replicas", "auto", "auto"),
        ("model.replicas", "4", 4),
        ("model.max_model_len", "", None),
        ("rehearsal.speed", "2.5", 2.5),
        ("rehearsal.speed", "max", "max"),
        ("guard.usd", "50", 50.0),
        ("project", "", None),
        ("pool.monitoring", "no", False),
        ("clusters[].gpu_pool.zones", "us-east4-a, us-east4-b,", ["us-east4-a", "us-east4-b"]),
        ("model.adapters", "a=x/y\nb=z/w", [{"name": "a", "source": "x/y"}, {"name": "b", "source": "z/w"}]),
        ("guardrail.namespaces", "", None),
        ("timeout_s", "9" * 5000, "9" * 5000),
    ],
)
def test_typed_answers(path: str, typed: str, meant: object) -> None:
    assert field_at(path).parse(typed) == meant


@pytest.mark.parametrize(
    "garbage", ["", "🦙" * 50, "a" * 100_000, "\x00\x1b[31m", "[", "-1"], ids=lambda text: ascii(text)[:8]
)
@pytest.mark.parametrize("field", [field for field in ALL if field.kind is not Kind.CLUSTERS], ids=lambda f: f.path)
def test_nonsense_is_told_at_its_field_and_breaks_nothing(field: Field, garbage: str, draft: Draft) -> None:
    draft.set(field.path, field.parse(garbage))
    checked = draft.check()
    if checked.spec is None:
        assert all(problem.message for problem in checked.problems)
        assert all(fields.page_of(problem.path) in PAGES for problem in checked.problems)


def test_machines_follow_the_gpu_and_ways_to_buy_the_machine(draft: Draft) -> None:
    machines = field_at("clusters[].gpu_pool.machine_type")
    ways = field_at("clusters[].gpu_pool.provisioning")
    assert all(choice.value.startswith("a3-highgpu") for choice in machines.choices(draft))
    assert [choice.value for choice in ways.choices(draft)] == ["spot", "flex-start"]
    draft.set("clusters[].gpu_pool.machine_type", "a3-highgpu-8g")
    assert [choice.value for choice in ways.choices(draft)] == [str(way) for way in Provisioning]


def test_questions_that_mean_nothing_are_not_asked(draft: Draft) -> None:
    percent = field_at("balancing.max_utilization_percent")
    count = field_at("balancing.max_in_flight_requests_per_endpoint")
    assert (percent.asked(draft), count.asked(draft)) == (True, False)
    draft.set("balancing.mode", "IN_FLIGHT")
    assert (percent.asked(draft), count.asked(draft)) == (False, True)


def test_a_problem_belongs_to_the_page_that_asks_for_it() -> None:
    for path, name in {
        "clusters": "regions",
        "clusters[1].region": "regions",
        "clusters[0].gpu_pool.zones[0]": "regions",
        "clusters[1].gpu_pool.nodes": "gpu",
        "clusters[0].proxy_subnet": "network",
        "model.adapters[0].name": "model",
        "timeout_s": "timeouts",
        "": "project",
    }.items():
        assert fields.page_of(path).name == name, path
