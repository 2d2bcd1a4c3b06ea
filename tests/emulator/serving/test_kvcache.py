"""Blocks of the KV cache: shared by prompts that begin alike, and remembered until their space is wanted."""

from hypothesis import given
from hypothesis import strategies as st

from backend.emulator.serving.kvcache import KvCache, names

SIZE = 4
LONG = names(["a", "b", "c", "d"] * 3, SIZE)


def test_a_blocks_name_tells_all_tokens_up_to_its_end_and_whose_it_is() -> None:
    assert len(names("abcdefghij", SIZE)) == 2
    assert names("abcdefgh", SIZE)[0] == names("abcdxxxx", SIZE)[0]
    assert names("abcdefgh", SIZE)[1] != names("xxxxefgh", SIZE)[1]
    assert not set(names("abcdefgh", SIZE)) & set(names("abcdefgh", SIZE, owner=1))


def test_prompts_that_begin_alike_share_blocks() -> None:
    cache = KvCache(8)
    cache.hold(LONG, 4)
    assert (cache.known(LONG), cache.usage) == (3, 4 / 8)
    assert cache.fits(LONG, 7)
    assert not cache.fits((), 5)
    cache.hold(LONG, 5)
    assert cache.usage == 6 / 8
    cache.release(LONG, 4)
    assert (cache.known(LONG), cache.usage) == (3, 5 / 8)


def test_a_prompt_is_remembered_until_its_space_is_wanted_its_end_first() -> None:
    cache = KvCache(8)
    cache.hold(LONG, 4)
    cache.release(LONG, 4)
    assert (cache.known(LONG), cache.usage) == (3, 0)
    cache.hold((), 6)
    assert cache.known(LONG) == 2
    cache.release((), 6)
    cache.hold((), 8)
    assert (cache.known(LONG), cache.full) == (0, True)


@given(st.lists(st.tuples(st.text("ab", max_size=20), st.integers(0, 5), st.booleans()), max_size=30))
def test_no_block_is_lost_or_made_up(requests: list[tuple[str, int, bool]]) -> None:
    cache = KvCache(10)
    held: list[tuple[tuple[int, ...], int]] = []
    for prompt, more, leaves in requests:
        prefix = names(prompt, SIZE)
        blocks = len(prefix) + more
        if cache.fits(prefix, blocks):
            cache.hold(prefix, blocks)
            held.append((prefix, blocks))
            assert cache.known(prefix) == len(prefix)
        if leaves and held:
            cache.release(*held.pop(0))
        shared = {name for prefix, _ in held for name in prefix}
        own = sum(blocks - len(prefix) for prefix, blocks in held)
        assert cache.usage == (len(shared) + own) / 10
        assert len(shared) + own + len(cache._idle) <= 10
    for each in held:
        cache.release(*each)
    assert cache.usage == 0
