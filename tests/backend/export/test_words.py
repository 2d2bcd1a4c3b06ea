"""Commands as lines of a script, read back by a shell's own rules."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.export.hcl import Expr, block, text
from backend.export.words import Expansion, command, line, quote

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1, max_size=200)


@given(st.lists(WORDS, min_size=1))
def test_a_shell_reads_the_words_that_were_written(words: list[str]) -> None:
    assert shlex.split(line(words).replace(" \\\n", " ")) == words


@given(WORDS)
def test_no_word_is_expanded(word: str) -> None:
    quoted = quote(word)
    assert not (quoted.startswith('"') and set(quoted) & set("$`\\!"))


def test_long_commands_go_on_in_the_next_line() -> None:
    written = line(["gcloud", *(f"--flag-{number}=value" for number in range(20))], indent="  ")
    assert max(map(len, written.splitlines())) <= 112
    assert all(part.endswith(" \\") for part in written.splitlines()[:-1])


def test_values_that_are_known_later_are_put_in() -> None:
    words = command("gcloud x --range=A --name='a b'", put={"--range": Expansion('"$range"')}, more=["--async"])
    assert line(words) == """gcloud x --range="$range" --name='a b' --async"""
    with pytest.raises(LookupError, match="--zone"):
        command("gcloud x", put={"--zone": Expansion("$zone")})


def test_texts_are_no_templates_in_terraform() -> None:
    written = text([block("a", "b", text='say "${hi}" %{ if }', expression=Expr("var.x"), list=["é", 1], none=None)])
    assert written == (
        'a "b" {\n  text       = "say \\"$${hi}\\" %%{ if }"\n  expression = var.x\n  list       = ["é", 1]\n}\n'
    )
