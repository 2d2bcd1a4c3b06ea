"""What differs from the document is told once, needs no cloud, and stands in the README as the code has it."""

from __future__ import annotations

import doctest
import re

import pytest

from backend import departures as module
from backend import presets
from backend.places import Places
from backend.spec import GatewaySpec
from backend.stack import departures
from tests.readme import PARTS, README, marks, written


@pytest.fixture
def example() -> GatewaySpec:
    return presets.load(presets.find("two-region-h100", Places.of({"MCIG_HOME": "/nowhere"})))


@pytest.mark.parametrize("part", PARTS)
def test_the_readme_has_the_tables_of_the_code(part: str) -> None:
    text = README.read_text(encoding="utf-8")
    if part == "checks" and marks(part)[0] not in text:
        pytest.skip("the README does not show the checks")
    assert written(text, {"MCIG_HOME": "/nowhere"}, [part]) == text, "run `python tests/readme.py`"


def test_a_table_is_written_between_its_marks() -> None:
    first, last = marks("checks")
    text = written(f"before\n{first}| stale |\n{last}\nafter\n", {"MCIG_HOME": "/nowhere"}, ["checks"])
    assert text.startswith(f"before\n{first}| check | reads | saves you from |\n")
    assert text.endswith(f"|\n{last}\nafter\n")
    assert "stale" not in text


def test_a_readme_without_its_marks_is_not_touched() -> None:
    with pytest.raises(ValueError, match="lost the marks"):
        written("# mcig\n", {"MCIG_HOME": "/nowhere"})


def test_each_is_told_once_for_all_clusters(example: GatewaySpec) -> None:
    found = departures(example)
    assert len(found) > 20
    assert len({(item.departure.document, item.rows) for item in found}) == len(found)
    told = " ".join(item.departure.mcig for item in found)
    assert "gke-east" not in told, "what holds for one cluster alone would be told twice"


def test_all_kinds_of_rows_that_change_something_depart(example: GatewaySpec) -> None:
    rows = {row for item in departures(example) for row in item.rows}
    assert rows >= {
        *("services", "iam/node-sa", "subnet", "cluster", "node-pool", "kubeconfig", "secret/hf-token", "membership"),
        *("fleet-ingress", "iam/mci-agent", "crd/inferenceobjective", "model-server", "pool", "objective", "export"),
        *("metrics", "gateway", "backend-policy", "relay", "verify"),
    }


def test_they_follow_the_specification(example: GatewaySpec) -> None:
    def told(**changes: object) -> str:
        changed = GatewaySpec.model_validate(example.to_data() | changes)
        return " ".join(item.departure.mcig for item in departures(changed))

    assert "maxUtilizationPercent: 60" in told()
    assert "maxUtilizationPercent" not in told(balancing={"mode": "IN_FLIGHT"})
    newer = told(model={"image": "vllm/vllm-openai:v0.12.0"})
    assert "--kv-cache-usage-percentage-metric vllm:kv_cache_usage_perc" in newer
    assert "--kv-cache-usage-percentage-metric" not in told()


def test_the_table_is_a_table() -> None:
    first, last = marks("departures")
    lines = written(f"{first}{last}", {"MCIG_HOME": "/nowhere"}, ["departures"]).splitlines()[1:-1]
    assert len(lines) > 20
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {5}


def test_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(module).failed == 0
