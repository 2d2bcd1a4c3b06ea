"""Bars of text cells."""

from __future__ import annotations

from textual.content import Content

from backend.preflight.offers import RegionOffer

USED, WANTED, FREE = "█", "▒", "░"


def parts(width: int, limit: float, used: float, wanted: float) -> tuple[int, int, int]:
    """Cells of a bar for what is used, what is wanted and what is left; something above nought has one cell at least.

    >>> parts(10, 100, 20, 30), parts(10, 4, 4, 4), parts(10, 1000, 0, 1)
    ((2, 3, 5), (5, 5, 0), (0, 1, 9))
    """
    whole = max(limit, used + wanted, 1e-9)
    first = 0 if used <= 0 else max(1, round(width * used / whole))
    second = 0 if wanted <= 0 else max(1, round(width * wanted / whole))
    first = min(first, width - min(second, width))
    return first, min(second, width - first), max(0, width - first - second)


def quota(offer: RegionOffer | None, width: int) -> Content:
    """A GPU quota as a bar and as figures: in use, plus what is still wanted, of the limit."""
    if offer is None or offer.limit is None:
        return Content.styled("…" if offer is None else "? not known", "$faint")
    used = offer.used or 0
    first, second, rest = parts(width, offer.limit, used, offer.needed)
    more = f"+{offer.needed:g}" if offer.needed else ""
    style = "$text-error" if used + offer.needed > offer.limit else "$text-success"
    return Content.assemble(
        (USED * first, "$quiet"),
        (WANTED * second, style),
        (FREE * rest, "$faint"),
        (f" {used:g}{more}/{offer.limit:g}", style if style == "$text-error" else ""),
    )
