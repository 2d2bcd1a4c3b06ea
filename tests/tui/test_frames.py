"""A frame draws what is new, clocks now and then, and details less often but never never."""

from __future__ import annotations

from tui.frames import Frames


def drawn(frames: Frames, states: list[object], *, moving: bool) -> list[int]:
    return [number for number, state in enumerate(states) if frames.due(state, moving=moving)]


def test_news_are_drawn_at_once_and_clocks_now_and_then() -> None:
    assert drawn(Frames(), [1, 2, 2, 2, 2, 2, 2, 3], moving=True) == [0, 1, 6, 7]


def test_nothing_is_drawn_for_ever_once_nothing_moves() -> None:
    assert drawn(Frames(), [1] * 50, moving=False) == [0]
    assert Frames().due(None, moving=False, now=True)


def test_details_follow_within_three_frames_and_only_once() -> None:
    frames, told = Frames(), []
    for number, state in enumerate([1, 2, 2, 2, 2]):
        news = frames.due(state, moving=False)
        if frames.details_due(drawn=news):
            told.append(number)
    assert told == [2]


def test_the_last_frame_tells_the_details_at_once() -> None:
    frames = Frames()
    news = frames.due(1, moving=False, now=True)
    assert frames.details_due(drawn=news, now=True)
    assert not frames.details_due(drawn=False)
