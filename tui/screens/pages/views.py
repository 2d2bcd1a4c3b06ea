"""Which module shows which page."""

from __future__ import annotations

from backend.draft import Draft
from backend.fields import Page
from tui.screens.pages.balancing import BalancingView
from tui.screens.pages.base import PageView
from tui.screens.pages.gpu import GpuView
from tui.screens.pages.model import ModelView
from tui.screens.pages.name import NameView
from tui.screens.pages.network import NetworkView
from tui.screens.pages.regions import RegionsView
from tui.screens.pages.timeouts import TimeoutsView
from tui.session import Session

VIEWS: dict[str, type[PageView]] = {
    "regions": RegionsView,
    "gpu": GpuView,
    "model": ModelView,
    "network": NetworkView,
    "balancing": BalancingView,
    "timeouts": TimeoutsView,
    "name": NameView,
}
"""Pages that are more than their fields."""


def of(page: Page, draft: Draft, session: Session) -> PageView:
    """A page's widget."""
    return VIEWS.get(page.name, PageView)(page, draft, session)
