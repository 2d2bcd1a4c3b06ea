"""What is asked before a plan is carried out, in front of the screen that shows it.

Invariant: what costs money or takes something away needs a yes of its own, and escape is always a no.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.app import App

from backend.engine.events import Verb
from backend.engine.plan import Plan
from tui.screens.question import Choice, Question, TypedQuestion
from tui.style import money

if TYPE_CHECKING:
    from backend.stack import Stack

_NAMED = 5
"""Most checks that are named."""


@dataclass(frozen=True, slots=True)
class Takes:
    """What a destroy takes beside what was made for the stack."""

    adopted: bool = False
    shared: bool = False

    @property
    def words(self) -> str:
        """What is taken along, in words; empty for nothing."""
        told = (("adopted clusters", self.adopted), ("what is shared", self.shared))
        said = " and ".join(words for words, taken in told if taken)
        return f"with {said}" if said else ""


async def in_spite_of(app: App[Any], failing: Sequence[str]) -> bool:
    """Whether to start although checks fail; ids of the checks."""
    names = "\n".join(f"  ✗ {name}" for name in failing[:_NAMED])
    if len(failing) > _NAMED:
        names += f"\n  and {len(failing) - _NAMED} more"
    text = f"Setting up would fail here:\n{names}\n\nThe Checks tab has the fixes; i ignores one there."
    choices = (Choice("no", "Back to the checks", "primary"), Choice("yes", "Start all the same", "warning"))
    return await app.push_screen_wait(Question("Checks fail", text, choices)) == "yes"


async def to(app: App[Any], stack: Stack, plan: Plan) -> bool:
    """Whether to carry the plan out; a rehearsal's apply, which costs and takes nothing, is not asked about."""
    if plan.verb is Verb.DESTROY:
        return await _to_destroy(app, stack, plan)
    if stack.connection.speed is not None:
        return True
    where, cost = stack.connection.description, money(plan.usd_per_hour)
    text = f"On {where} this costs {cost} while it stands, until it is destroyed."
    choices = (Choice("no", "Not yet", "primary"), Choice("yes", "Start", "success"))
    return await app.push_screen_wait(Question("Start?", text, choices)) == "yes"


async def _to_destroy(app: App[Any], stack: Stack, plan: Plan) -> bool:
    """Whether to take a stack away; the name of each cluster that mcig did not make has to be typed."""
    count = len(plan.changes)
    things = "1 thing" if count == 1 else f"{count} things"
    text = f"{things} of {stack.spec.name} on {stack.connection.description} will be taken away."
    choices = (Choice("no", "Keep it", "primary"), Choice("yes", "Destroy", "error"))
    if await app.push_screen_wait(Question("Destroy?", text, choices)) != "yes":
        return False
    from backend.stack import adopted

    for cluster in adopted(plan):
        text = f"{cluster} was not made by mcig. Type its name to delete it, with everything that runs in it."
        if not await app.push_screen_wait(TypedQuestion(f"Delete {cluster}?", text, cluster)):
            return False
    return True
