"""What a destroy asks and tells beyond its plan: shared and adopted things, and what is left standing.

Invariants: a cluster that mcig did not make goes only after its own name was typed, at the terminal or beforehand with
``--confirm``; a destroy never ends without saying what remains and what would undo it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from backend.errors import UsageError

if TYPE_CHECKING:
    from backend.engine.plan import Plan
    from backend.resources.leftovers import Leftover
    from backend.stack import Stack
    from tui.invocation import Invocation
    from tui.style import Style

ABSENT = "absent"
"""The reason of a step that has nothing to take away."""


def add_options(destroy: argparse.ArgumentParser) -> None:
    """Declare what only destroy takes."""
    destroy.add_argument(
        "--shared",
        action="store_true",
        help="also disable APIs and take back the multi-cluster controller's role, where nobody else needs them",
    )
    destroy.add_argument(
        "--include-adopted",
        action="store_true",
        help="also delete clusters that mcig did not make; asks for the name of each",
    )
    destroy.add_argument(
        "--confirm",
        action="append",
        default=[],
        metavar="CLUSTER",
        help="the name that --include-adopted would ask for; may be repeated",
    )


def wishes(options: argparse.Namespace) -> dict[str, bool]:
    """What was asked for besides the stack itself, as `open_stack` takes it."""
    return {
        "shared": getattr(options, "shared", False),
        "include_adopted": getattr(options, "include_adopted", False),
    }


def confirmed(invocation: Invocation, options: argparse.Namespace, made: Plan) -> bool:
    """Have the name of each adopted cluster that is to go typed; raises ``UsageError`` when nobody can be asked."""
    from backend.stack import adopted

    going = [name for name in adopted(made) if name not in getattr(options, "confirm", ())]
    if going and not invocation.console.terminal:
        typed = " ".join(f"--confirm={name}" for name in going)
        raise UsageError(
            f"{', '.join(going)} was not made by mcig, and there is no terminal to ask at",
            cause="--yes alone does not delete clusters that were only adopted",
            fix=f"add {typed}, or leave --include-adopted out",
        )
    for name in going:
        with invocation.interrupts.at_once():
            typed = invocation.console.answer(f"\n{name} was not made by mcig. Type its name to delete it:")
        if typed != name:
            return False
    return True


@dataclass(frozen=True, slots=True)
class Remains:
    """What a finished destroy left standing."""

    stack: str
    kept: tuple[tuple[str, str], ...]
    """Resources that were left, each with the reason and what undoes it."""
    leftovers: tuple[Leftover, ...]
    """Parts of load balancers that a Gateway of the stack probably left."""

    @property
    def anything(self) -> bool:
        """Whether something is left."""
        return bool(self.kept or self.leftovers)

    @property
    def commands(self) -> tuple[str, ...]:
        """What would take away what is left."""
        said = [reason.split("`")[1] for _, reason in self.kept if reason.count("`") > 1]
        return (*said, *(part.command for part in self.leftovers))

    def lines(self, style: Style) -> Iterator[str]:
        """Tell people; nothing when nothing is left."""
        if self.kept:
            yield from ("", "What remains, and why:")
        together: dict[str, list[str]] = {}
        for resource, reason in self.kept:
            together.setdefault(reason, []).append(resource)
        for reason, resources in together.items():
            yield from style.wrap(f"{', '.join(resources)}: {reason}", first="  - ", indent="    ")
        if self.leftovers:
            yield ""
            told = f"Probably left by a gateway of {self.stack}, by their names; look before you delete them:"
            yield from style.wrap(told)
        for part in self.leftovers:
            yield from style.wrap(f"{part.kind} {part.name}: `{part.command}`", first="  - ", indent="    ")

    def to_json(self) -> dict[str, Any]:
        """Give what ``run_finished`` of a destroy has besides what every run's has."""
        return {
            "remains": [{"resource": resource, "reason": reason} for resource, reason in self.kept],
            "leftovers": [asdict(part) for part in self.leftovers],
        }


UNKNOWN: dict[str, Any] = {"remains": None, "leftovers": None}
"""The same of a destroy that did not come to its end."""


async def remains(stack: Stack, made: Plan) -> Remains | None:
    """Look at what a finished destroy left; ``None`` after an apply."""
    from backend.engine.events import Action, Verb

    if made.verb is not Verb.DESTROY:
        return None
    kept = tuple(
        (str(step.resource), step.step.reason)
        for step in made.steps
        if step.action is Action.NO_OP and not step.unseen and step.step.reason not in {"", ABSENT}
    )
    return Remains(stack.spec.name, kept, () if _gateway_stands(stack, made) else await stack.leftovers())


def _gateway_stands(stack: Stack, made: Plan) -> bool:
    """Whether a destroy left the Gateway, as one of another stack; the load balancer that there is then is its own."""
    from backend.engine.events import Action

    left = {step.resource for step in made.steps if step.action is Action.NO_OP and step.present}
    return "gateway" in left and f"cluster/{stack.spec.config_cluster}" in left
