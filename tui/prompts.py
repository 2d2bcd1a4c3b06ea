"""The wizard's questions in a plain terminal, one after the other, and for screen readers.

The same fields as on the pages, asked with questionary. Invariants: every answer is checked at once and asked again
where it cannot be; Ctrl-C keeps the answers, and says so; the Hugging Face token is never shown or kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backend import kept, presets
from backend.draft import Checked, Draft, places
from backend.errors import Problem, UsageError
from backend.fields import PAGES, Choice, Field, Kind, Page, page_of
from backend.kept import Kept
from backend.money import costs
from backend.spec import GatewaySpec, Target

if TYPE_CHECKING:
    from tui.console import Console
    from tui.invocation import Invocation

_SIGNS = 6
"""Columns that a list needs before a choice."""
MOST_ROUNDS = 20
"""Times that a page is asked again; whoever has not mended it then is told to write a file."""


def ask(invocation: Invocation) -> Invocation:
    """Ask for a whole specification, and for a token where none was found; raises ``KeyboardInterrupt``.

    What was answered is in the invocation that is given back.
    """
    draft = _begin(invocation)
    try:
        with invocation.interrupts.at_once():
            spec = _pages(invocation, draft)
            token = _token(invocation, spec)
    except KeyboardInterrupt:
        kept.keep(invocation.places, Kept(draft, visited=tuple(page.name for page in PAGES)))
        invocation.console.say("", "Stopped; nothing was changed. Your answers are kept: mcig goes on with them.")
        raise
    kept.forget(invocation.places)
    if token:
        invocation = replace(invocation, environ={**invocation.environ, "HF_TOKEN": token})
    return replace(invocation, asked=spec)


def _begin(invocation: Invocation) -> Draft:
    """The draft of last time, or the answers of a preset."""
    choices = [Choice(source.name, source.name, source.description) for source in presets.presets(invocation.places)]
    choices.sort(key=lambda choice: choice.value != "rehearsal")
    before = kept.read(invocation.places)
    if before is not None:
        choices.insert(0, Choice("", "your answers of last time", str(before.draft.data.get("name") or "")))
    with invocation.interrupts.at_once():
        chosen = _select("Begin with which answers?", choices, choices[0].value)
    if before is not None and not chosen:
        return before.draft
    return Draft.of(presets.load(presets.find(chosen, invocation.places), invocation.overrides))


def _pages(invocation: Invocation, draft: Draft) -> GatewaySpec:
    console = invocation.console
    for page in PAGES:
        _page(console, page, draft, advanced=False)
    if _confirm("Go through the settings that are usually left as they are?", default=False):
        for page in PAGES:
            _page(console, page, draft, advanced=True)
    for _ in range(MOST_ROUNDS):
        checked = draft.check()
        if checked.spec is not None:
            _summary(console, checked.spec)
            return checked.spec
        _again(console, checked, draft)
    raise UsageError("the answers still cannot be used", fix="write a file: mcig presets show rehearsal > mine.yaml")


def _page(console: Console, page: Page, draft: Draft, *, advanced: bool) -> None:
    fields = [field for field in page.fields if field.advanced is advanced]
    if not fields:
        return
    console.say("", console.style.paint("heading", page.title))
    if not advanced:
        console.say_all(console.style.wrap(page.about))
    for field in fields:
        if field.asked(draft):
            _field(console, field, draft)


def _field(console: Console, field: Field, draft: Draft) -> None:
    """Ask until the answer is one, for every cluster where each has its own."""
    if field.kind is Kind.CLUSTERS:
        _regions(console, draft)
        return
    scopes: list[list[int] | None] = [None]
    if field.each:
        scopes = [[index] for index in range(len(draft.clusters))]
    for clusters in scopes:
        paths = draft.paths(field.path, clusters)
        if not paths:
            continue
        label = field.label if clusters is None else f"{field.label} in {draft.clusters[clusters[0]]['region']}"
        for _ in range(MOST_ROUNDS):
            draft.set(field.path, _answer(field, label, draft, draft.get(paths[0])), clusters)
            wrong = _wrong(draft.check(), paths)
            if wrong is None:
                break
            console.say(f"  {console.style.glyph('failed')} {wrong.message}")


def _answer(field: Field, label: str, draft: Draft, now: Any) -> Any:
    unit = f" ({field.unit})" if field.unit else ""
    if field.kind is Kind.YES_NO:
        return _confirm(f"{label}?", default=bool(now))
    if field.kind is Kind.CHOICE:
        return field.parse(_select(label, field.choices(draft), field.show(now)))
    return field.parse(_text(f"{label}{unit}:", field.show(now), field.help))


def _regions(console: Console, draft: Draft) -> None:
    known = {place.region: place for place in places(draft)}
    order = [*draft.regions, *sorted(set(known) - set(draft.regions))]
    options = []
    for region in order:
        price = known[region].usd_per_hour
        told = "price unknown" if price is None else f"${price:.2f}/h for the GPUs"
        options.append(Choice(region, region, told))
    for _ in range(MOST_ROUNDS):
        chosen = _several("Regions, two or more (space takes one):", options, draft.regions)
        for region in [region for region in draft.regions if region not in chosen]:
            draft.leave_region(region)
        for region in chosen:
            draft.choose_region(region, zones=known[region].zones)
        wrong = [problem.message for problem in draft.check().problems if problem.path == "clusters"]
        if not wrong:
            return
        console.say(f"  {console.style.glyph('failed')} {wrong[0]}")


def _again(console: Console, checked: Checked, draft: Draft) -> None:
    """Ask for what is wrong once more."""
    problem = checked.problems[0]
    console.say("", f"{console.style.glyph('failed')} {problem.path}: {problem.message}")
    page = page_of(problem.path)
    fields = [field for field in page.fields if any(checked.at(path) for path in draft.paths(field.path))]
    for field in fields or page.fields:
        _field(console, field, draft)


def _wrong(checked: Checked, paths: Sequence[str]) -> Problem | None:
    """What is wrong with an answer by itself; what it does to others is told at the end."""
    return next((problem for path in paths for problem in checked.problems if problem.path.startswith(path)), None)


def _summary(console: Console, spec: GatewaySpec) -> None:
    cost = costs(spec)
    where = "for real; nothing here" if spec.target is Target.EMULATOR else "while it stands"
    regions = ", ".join(f"{cluster.region} ({cluster.serving_pool.gpus} GPUs)" for cluster in spec.targets)
    console.say("", f"{spec.name}: {regions}; about ${cost.usd_per_hour:.2f}/h {where}.")
    if cost.idle_gpus:
        console.say(f"{cost.idle_gpus} of the GPUs stay idle and cost ${cost.idle:.2f}/h all the same.")


def _token(invocation: Invocation, spec: GatewaySpec) -> str:
    from backend.found import hugging_face_token

    if hugging_face_token(spec.target, invocation.environ) is not None:
        return ""
    return _password("Hugging Face token (hidden; never written down; empty for none):").strip()


# --- questionary ------------------------------------------------------------------------------------------------------


def _text(label: str, default: str, help_text: str) -> str:
    import questionary

    instruction = f"{help_text} " if help_text and len(help_text) < 90 else ""
    answer: str = questionary.text(label, default=default, instruction=instruction or None).unsafe_ask()
    return answer


def _password(label: str) -> str:
    import questionary

    answer: str = questionary.password(label).unsafe_ask()
    return answer


def _confirm(label: str, *, default: bool) -> bool:
    import questionary

    answer: bool = questionary.confirm(label, default=default).unsafe_ask()
    return answer


def _select(label: str, choices: Sequence[Choice], default: str) -> str:
    import questionary

    shown = [questionary.Choice(_line(choice), value=choice.value) for choice in choices]
    known = next((item for item in shown if item.value == default), None)
    answer: str = questionary.select(label, choices=shown, default=known).unsafe_ask()
    return answer


def _several(label: str, choices: Sequence[Choice], chosen: Sequence[str]) -> list[str]:
    import questionary

    shown = [questionary.Choice(_line(one), value=one.value, checked=one.value in chosen) for one in choices]
    answer: list[str] = questionary.checkbox(label, choices=shown).unsafe_ask()
    return answer


def _line(choice: Choice) -> str:
    """A choice and its hint in one line of the terminal, behind the list's own signs."""
    line = f"{choice.label}  {choice.hint}".rstrip()
    room = shutil.get_terminal_size((80, 24)).columns - _SIGNS
    return line if len(line) <= room else f"{line[: room - 1].rstrip()}…"
