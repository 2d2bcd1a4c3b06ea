"""A change is readable at 80 columns whatever its values are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.change_text import change_lines
from tui.style import Style

words = st.text("abc0:/-.", max_size=70)


def lines(*changes: tuple[str, object, object]) -> list[str]:
    return list(change_lines(changes, Style(), indent="  "))


def test_fields_stand_below_their_object() -> None:
    assert lines(
        ("GCPBackendPolicy/p: spec.default.balancingMode", "CUSTOM_METRICS", "IN_FLIGHT"),
        ("GCPBackendPolicy/p: spec.default.timeoutSec", 100, 60),
        ("status", "ERROR", "RUNNING"),
        ("labels", None, {"a": 1}),
    ) == [
        "  GCPBackendPolicy/p",
        "    spec.default.balancingMode: CUSTOM_METRICS -> IN_FLIGHT",
        "    spec.default.timeoutSec: 100 -> 60",
        "  status: ERROR -> RUNNING",
        '  labels: nothing -> {"a": 1}',
    ]


def test_of_lists_and_long_texts_only_what_changed_is_shown() -> None:
    assert lines(("args", ["--a", "--v", "1"], ["--a", "--b", "--v", "1"])) == ["  args:", "    + --b"]
    assert lines(("data.x", "one\ntwo\n", "one\nthree\n")) == ["  data.x:", "    - two", "    + three"]


def test_what_does_not_fit_in_one_line_takes_one_for_each_value() -> None:
    image = "registry.example.com/a-long-path/vllm-openai"
    assert lines(("spec.template.spec.containers[vllm].image", f"{image}:v1", f"{image}:v2")) == [
        "  spec.template.spec.containers[vllm].image:",
        f"    {image}:v1",
        f"    -> {image}:v2",
    ]


@given(st.lists(st.tuples(words, words, words), max_size=5))
def test_no_line_is_wider_than_its_longest_word_needs(changes: list[tuple[str, str, str]]) -> None:
    longest = max((len(text) for change in changes for text in change), default=0)
    assert all(len(line) <= max(80, longest + 12) for line in lines(*changes))
