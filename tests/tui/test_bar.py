"""Quotas as bars."""

from __future__ import annotations

import pytest

from backend.preflight.offers import RegionOffer
from tui.widgets.bar import quota


def offer(limit: float | None, used: float | None, needed: float) -> RegionOffer:
    return RegionOffer("us-east4", ("us-east4-a",), limit, used, needed, None, None, None, True, ())


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (offer(6, 4, 2), "████▒▒ 4+2/6"),
        (offer(6, 6, 0), "██████ 6/6"),
        (offer(4, None, 6), "▒▒▒▒▒▒ 0+6/4"),
        (offer(None, None, 6), "? not known"),
        (None, "…"),
    ],
)
def test_a_bar_tells_what_is_used_and_what_is_still_wanted(seen: RegionOffer | None, told: str) -> None:
    assert quota(seen, 6).plain == told
