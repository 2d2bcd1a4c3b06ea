"""The state of a stack as lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tui.change_text import change_lines
from tui.style import SHARED, Style, dates, money

if TYPE_CHECKING:
    from backend.status import Status

_SIGNS = {"ready": "succeeded", "absent": "skipped", "unfinished": "wait", "drifted": "update"}


def status_lines(status: Status, style: Style) -> Iterator[str]:
    """Every resource by region, the addresses, and what it costs."""
    yield style.paint("heading", f"{status.stack} ({status.target})")
    width = max((len(item.resource) for item in status.resources), default=0)
    lanes = dict.fromkeys(item.region or SHARED for item in status.resources)
    for lane in sorted(lanes, key=lambda lane: lane != SHARED):
        yield style.paint("heading", lane)
        for item in status.resources:
            if (item.region or SHARED) == lane:
                sign = _SIGNS[item.state]
                mark = style.paint(sign, f"{style.glyph(sign)} {item.state:<10}")
                yield f"  {mark} {item.resource:<{width}}".rstrip()
                drift = ((change["field"], change["before"], change["after"]) for change in item.drift)
                yield from change_lines(drift, style, indent=" " * 15)
    yield ""
    for address in status.addresses:
        yield f"address in {address.region}: {address.address}, from here {address.base_url}"
    missing = sum(item.state != "ready" for item in status.resources)
    if missing:
        yield f"{missing} of {len(status.resources)} are not as wanted; see `mcig plan {status.stack}`"
    else:
        yield f"all {len(status.resources)} resources are as wanted"
    if status.usd_per_hour:
        emulated = "nothing here; in life about " if status.target == "emulator" else "about "
        cost = f"costs {emulated}{money(status.usd_per_hour)}, estimated with prices of {dates(status.prices_dated)}"
        yield from style.wrap(cost)
