"""However a text is read, it means the same, and is told of in the same words."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from backend import yaml_tree

PLAIN = st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=8)
DATA = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3)
)


@given(DATA)
def test_the_fast_way_reads_what_the_slow_one_reads(data: object) -> None:
    text = yaml.safe_dump(data, allow_unicode=True)
    assert yaml_tree.read(text, "a.yaml") == yaml_tree._read_slowly(text, "a.yaml")


@given(DATA)
def test_data_is_what_its_text_would_be(data: object) -> None:
    assert yaml_tree.known(data, "draft").data == yaml_tree.read(yaml.safe_dump(data), "draft").data


@pytest.mark.parametrize("text", ["a: [", "a: 1\na: 2", "a: !thing 1", "\x07", "", "a: .nan", "&a [*a]", "a: @"])
def test_what_is_wrong_is_told_in_the_same_words(text: str) -> None:
    assert yaml_tree.read(text, "a.yaml") == yaml_tree._read_slowly(text, "a.yaml")


@pytest.mark.parametrize("text", ["[" * 200_000, "- " * 20_000, "{a: " * 20_000, "? " * 20_000, "[" * 900])
def test_nesting_without_end_is_told(text: str) -> None:
    (problem,) = yaml_tree.read(text, "a.yaml").problems
    assert problem.source.startswith("a.yaml")


def test_everything_in_data_has_a_place() -> None:
    tree = yaml_tree.known({"clusters": [{"name": "a"}]}, "draft")
    assert {tree.place(("clusters", 0, "name")), tree.place(("absent",))} == {"draft:1"}
