"""Regions & zones: a table of the regions that have the GPU, with room, price and capacity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Collapsible, DataTable, Input, Label

from backend.draft import Checked, Draft, Place, places
from backend.fields import Page
from backend.preflight.offers import RegionOffer
from backend.spec import GatewaySpec
from tui.screens.pages.base import PageView
from tui.session import Session
from tui.widgets.answer import Answer
from tui.widgets.bar import quota

COLUMNS = {"Region": 23, "Zones": 5, "$/h": 6, "GPU quota": 14, "Room": 18}
"""Titles and widths; all together they fit into 80 columns."""
BAR = 5
CHOSEN, CONFIG, FREE = "●", "◆", "○"


class RegionTable(DataTable[Content]):
    """Regions, chosen with space."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "select_cursor", "Choose", tooltip="Take this region, or leave it"),
        Binding("c", "config", "Config", tooltip="Put the gateway on this region's cluster"),
        Binding("slash", "search", "Search", key_display="/", tooltip="Show only regions that match"),
    ]

    @dataclass
    class ConfigWanted(Message):
        """The gateway is wanted on the region under the cursor."""

    @dataclass
    class SearchWanted(Message):
        """The search field is wanted."""

    def action_config(self) -> None:
        """Want the gateway here."""
        self.post_message(self.ConfigWanted())

    def action_search(self) -> None:
        """Want to search."""
        self.post_message(self.SearchWanted())


class RegionsView(PageView):
    """The page."""

    HINT = (
        "Space takes a region or leaves it; c puts the gateway on its cluster. The bar: in use, wanted, and free quota."
    )
    WIDE = True
    SKIPPED = ("clusters", "config_cluster")

    def __init__(self, page: Page, draft: Draft, session: Session) -> None:
        super().__init__(page, draft, session)
        self._offers: dict[str, RegionOffer] = {offer.region: offer for offer in session.offers}
        self._places: dict[str, Place] = {}
        self._order: list[str] = []
        self._sought = ""

    def tail(self) -> Iterable[Widget]:
        """The table and its legend."""
        with Horizontal(id="seek"):
            yield Label("Regions", classes="label")
            yield Input(placeholder="type / to search", compact=True, id="search")
        table = RegionTable(cursor_type="row", zebra_stripes=False, id="regions")
        table.add_column("", key="mark", width=1)
        for column, width in COLUMNS.items():
            table.add_column(column, key=column, width=width)
        yield table
        yield Label("", id="legend", markup=False)

    def on_mount(self) -> None:
        """Fill the table from the catalogue at once; what the cloud says comes later."""
        self._fill()

    def show(self, checked: Checked) -> None:
        """Show the choice as it is now."""
        super().show(checked)
        if not self.query_one("#more", Collapsible).collapsed:
            self.call_later(self.unfold)
        self._fill()
        told = [problem.message for problem in checked.problems if problem.path in {"clusters", "config_cluster"}]
        chosen = len(self.draft.regions)
        config = self.draft.config_region
        told += self._no_room()
        legend = f"✗ {told[0]}" if told else f"{CHOSEN} {chosen} chosen   {CONFIG} config cluster in {config}"
        label = self.query_one("#legend", Label)
        label.update(legend)
        label.set_class(bool(told), "wrong")

    def _no_room(self) -> list[str]:
        """What to do about the chosen regions whose quota is too small."""
        offers = [self._offers[region] for region in self.draft.regions if region in self._offers]
        return [
            f"{offer.region} has no room" + (f"; these have: {', '.join(offer.instead[:3])}" if offer.instead else "")
            for offer in offers
            if offer.fits is False
        ]

    async def look(self, spec: GatewaySpec) -> None:
        """Fill in quota and capacity."""
        survey = await self.session.survey(spec)
        self.session.offers = await survey.regions(spec)
        self._offers = {offer.region: offer for offer in self.session.offers}
        self.show(Checked(spec))

    def focus_first(self) -> None:
        """The table is what people come for."""
        self.query_one(RegionTable).focus(scroll_visible=False)

    async def focus_wrong(self, path: str) -> None:
        """Problems with the number of clusters are mended in the table."""
        if path in {"clusters", "config_cluster"}:
            self.focus_first()
        else:
            await super().focus_wrong(path)

    # --- the table ----------------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        self._places = {place.region: place for place in places(self.draft)}
        rows = [region for region in self._ordered() if self._sought in region]
        table = self.query_one(RegionTable)
        if rows != self._order:
            at = self._order[table.cursor_row] if table.cursor_row < len(self._order) else ""
            table.clear()
            for region in rows:
                table.add_row(*self._cells(region), key=region)
            self._order = rows
            table.move_cursor(row=rows.index(at) if at in rows else 0)
            return
        for region in rows:
            for column, cell in zip(("mark", *COLUMNS), self._cells(region), strict=True):
                table.update_cell(region, column, cell)

    def _ordered(self) -> Sequence[str]:
        """The chosen ones first as they were when the page was opened, then by name."""
        if not self._order or self._sought or set(self._places) - set(self._order):
            chosen = list(dict.fromkeys(self.draft.regions))
            return [*chosen, *sorted(set(self._places) - set(chosen))]
        return self._order

    def _cells(self, region: str) -> list[Content]:
        place, offer = self._places.get(region), self._offers.get(region)
        chosen = region in self.draft.regions
        config = region == self.draft.config_region
        mark = CONFIG if config else CHOSEN if chosen else FREE
        style = "$text-accent" if config else "$text-success" if chosen else "$quiet"
        zones = (offer.zones if offer else ()) or (place.zones if place else ())
        letters = "".join(zone.rpartition("-")[2] for zone in zones) or "?"
        price = offer.usd_per_hour if offer else place.usd_per_hour if place else None
        return [
            Content.styled(mark, style),
            Content.styled(region, "bold" if chosen else ""),
            Content(letters),
            Content(f"{price:.2f}".rjust(6)) if price is not None else Content.styled("     ?", "$quiet"),
            quota(offer, BAR),
            _room(offer),
        ]

    @on(DataTable.RowSelected)
    def _selected(self, event: DataTable.RowSelected) -> None:
        region = str(event.row_key.value)
        if region in self.draft.regions:
            self.draft.leave_region(region)
        else:
            offer, place = self._offers.get(region), self._places.get(region)
            self.draft.choose_region(region, zones=(offer.zones if offer else ()) or (place.zones if place else ()))
        self._fill()
        self.post_message(self.Changed(self))

    @on(DataTable.RowHighlighted)
    def _reached(self, event: DataTable.RowHighlighted) -> None:
        region = str(event.row_key.value)
        if (offer := self._offers.get(region)) is not None:
            self.post_message(self.Hinted(_in_words(offer)))

    @on(RegionTable.ConfigWanted)
    def _config_wanted(self) -> None:
        table = self.query_one(RegionTable)
        if table.cursor_row < len(self._order):
            region = self._order[table.cursor_row]
            if region not in self.draft.regions:
                self.draft.choose_region(region)
            self.draft.make_config(region)
            self._fill()
            self.post_message(self.Changed(self))

    @on(RegionTable.SearchWanted)
    def _search_wanted(self) -> None:
        self.query_one("#search", Input).focus()

    @on(Input.Changed, "#search")
    def _search(self, event: Input.Changed) -> None:
        event.stop()
        self._sought = event.value.strip().lower()
        self._fill()

    @on(Input.Submitted, "#search")
    def _found(self, event: Input.Submitted) -> None:
        event.stop()
        self.focus_first()

    @on(Answer.Given)
    def _accelerator(self, event: Answer.Given) -> None:
        """Another GPU type brings its own machines and zones."""
        if event.answer.field.path.endswith("gpu_pool.accelerator"):
            event.stop()
            self.draft.choose_accelerator(str(event.value))
            self._offers = {}
            self._order = []
            self._fill()
            self.post_message(self.Changed(self))


def _room(offer: RegionOffer | None) -> Content:
    """Whether the pool fits, and what Google says of free Spot machines."""
    if offer is None:
        return Content("")
    if offer.fits is False:
        return Content.styled("✗ no room", "$text-error")
    said = offer.capacity or ""
    if said and said != "likely":
        return Content.styled(f"! {said}", "$text-warning")
    if offer.fits is None:
        return Content.styled(said, "$quiet")
    return Content.assemble(("✓ fits", "$text-success"), (f", {said}" if said else "", "$quiet"))


def _in_words(offer: RegionOffer) -> str:
    """The price with its day, and what Google says of free Spot machines: what the table has no room for."""
    price, day = offer.usd_per_hour, offer.price_date
    told = "price unknown" if price is None else f"${price:.2f}/h for all of its machines"
    told += f", as of {day}" if price is not None and day else ""
    parts = [told, f"room for {offer.free:g} more GPUs" if offer.free is not None else "quota not known"]
    if offer.capacity:
        parts.append(f"free Spot machines are {offer.capacity}")
    return f"{offer.region}: {'; '.join(parts)}."
