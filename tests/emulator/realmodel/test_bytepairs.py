"""Byte-pair encoding: nothing of a text is lost, and merges happen in the vocabulary's order."""

from hypothesis import given
from hypothesis import strategies as st

from backend.emulator.realmodel.bytepairs import BytePairs, _letters

LETTERS = [*_letters().values()]
MERGES = ["Ġ t", "h e", "Ġt he", "i n", "in g"]
PAIRS = BytePairs([*LETTERS, "Ġt", "he", "Ġthe", "in", "ing", "<|im_end|>"], MERGES)


@given(st.text())
def test_the_text_of_a_texts_tokens_is_the_text(text: str) -> None:
    assert "".join(PAIRS.decode(PAIRS.encode(text))) == text


def test_merges_happen_in_their_order_and_within_words() -> None:
    assert list(PAIRS.decode(PAIRS.encode("bring the thing"))) == ["b", "r", "ing", " the", " t", "h", "ing"]
    assert list(PAIRS.decode(PAIRS.encode("in 42"))) == ["in", " ", "4", "2"]


def test_a_character_of_several_bytes_comes_whole() -> None:
    assert list(PAIRS.decode(PAIRS.encode("é!"))) == ["", "é", "!"]


def test_special_tokens_are_no_text() -> None:
    assert PAIRS.id("<|im_end|>") not in PAIRS.encode("<|im_end|>")
