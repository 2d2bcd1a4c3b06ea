"""What a destroy asks for and tells beyond its plan."""

from __future__ import annotations

import argparse
import io
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from backend.engine.events import Action, Verb
from backend.engine.plan import Plan, PlannedStep
from backend.engine.resource import About, ResourceId, Step
from backend.errors import UsageError
from backend.places import Places
from backend.resources.cluster import ADOPTED
from backend.resources.leftovers import Leftover
from backend.stack import Stack, adopted
from tui.commands import teardown
from tui.console import Console
from tui.interrupts import Interrupts
from tui.invocation import Invocation
from tui.parser import parser


class Terminal(io.StringIO):
    """A stream that somebody sits at."""

    def isatty(self) -> bool:
        return True


def planned(resource: str, action: Action, reason: str) -> PlannedStep:
    step = Step(ResourceId(resource), action, reason=reason)
    return PlannedStep(step, frozenset(), About("x"), drifted=False)


@pytest.fixture
def made() -> Plan:
    """A destroy that takes one adopted cluster along."""
    return Plan(
        Verb.DESTROY,
        (
            planned("cluster/theirs", Action.DELETE, f"{ADOPTED}: it costs about 0.55 USD/h"),
            planned("cluster/ours", Action.DELETE, ""),
            planned("subnet/us-east4", Action.NO_OP, "absent"),
            planned("services", Action.NO_OP, "left enabled: `gcloud services disable x`"),
        ),
    )


def stack(*left: Leftover) -> Stack:
    """A stack that is asked for nothing but what it says of plans and leftovers."""
    made = Stack(
        cast("Any", argparse.Namespace(name="two-regions")),
        connection=cast("Any", None),
        clients=cast("Any", None),
        declare=lambda _: (),
        places=Places.of({"MCIG_HOME": "/nowhere"}),
    )

    async def leftovers() -> tuple[Leftover, ...]:
        return left

    made.leftovers = leftovers  # type: ignore[method-assign]
    return made


def invocation(typed: str, *, terminal: bool = True, yes: bool = False) -> Invocation:
    stream = Terminal if terminal else io.StringIO
    console = Console({}, out=stream(), err=io.StringIO(), stdin=stream(typed))
    return Invocation({}, Places.of({"MCIG_HOME": "/nowhere"}), console, Interrupts(print), yes=yes)


def options(*arguments: str) -> argparse.Namespace:
    return parser().parse_args(["destroy", "two-regions", *arguments])


def test_nothing_shared_or_adopted_goes_unasked() -> None:
    assert teardown.wishes(options()) == {"shared": False, "include_adopted": False}
    wishes = teardown.wishes(options("--shared", "--include-adopted"))
    assert wishes == {"shared": True, "include_adopted": True}
    assert teardown.wishes(parser().parse_args(["apply", "x"])) == {"shared": False, "include_adopted": False}


def test_the_stack_knows_which_clusters_of_a_plan_were_adopted(made: Plan) -> None:
    assert adopted(made) == ("theirs",)


@pytest.mark.parametrize(("typed", "agreed"), [("theirs\n", True), ("y\n", False), ("\n", False), ("", False)])
def test_an_adopted_cluster_goes_by_its_own_name_only(made: Plan, typed: str, *, agreed: bool) -> None:
    asked = invocation(typed, yes=True)

    assert teardown.confirmed(asked, options("--yes", "--include-adopted"), made) is agreed
    assert "theirs was not made by mcig. Type its name" in cast("io.StringIO", asked.console.out).getvalue()


def test_without_a_terminal_a_yes_is_not_enough(made: Plan) -> None:
    nobody = invocation("", terminal=False, yes=True)

    with pytest.raises(UsageError, match="theirs was not made by mcig") as caught:
        teardown.confirmed(nobody, options("--yes", "--include-adopted"), made)
    assert "--confirm=theirs" in caught.value.fix
    assert teardown.confirmed(nobody, options("--include-adopted", "--confirm=theirs"), made)
    with pytest.raises(UsageError):
        teardown.confirmed(nobody, options("--include-adopted", "--confirm=ours"), made)


async def test_what_is_left_is_told_with_what_undoes_it(made: Plan, tmp_path: Path) -> None:
    style = Console({}, out=io.StringIO()).style
    part = Leftover("forwarding-rules", "gkemcg1-x", "gcloud compute forwarding-rules delete gkemcg1-x --global")

    left = await teardown.remains(stack(part), made)
    assert left is not None
    text = "\n".join(left.lines(style))

    assert "services: left enabled: `gcloud services disable x`" in text
    assert "subnet/us-east4" not in text
    assert "Probably left by a gateway of two-regions" in text
    assert "forwarding-rules gkemcg1-x: `gcloud compute forwarding-rules delete" in " ".join(text.split())
    assert left.to_json() == {
        "remains": [{"resource": "services", "reason": "left enabled: `gcloud services disable x`"}],
        "leftovers": [{"kind": part.kind, "name": part.name, "command": part.command}],
    }
    assert await teardown.remains(stack(part), Plan(Verb.APPLY, made.steps)) is None


@pytest.mark.parametrize(("cluster", "leaves"), [(Action.NO_OP, False), (Action.DELETE, True)])
async def test_the_load_balancer_of_a_gateway_that_stands_is_not_told_as_left(cluster: Action, *, leaves: bool) -> None:
    whose = "made for the stack theirs: left"
    steps = [planned("gateway", Action.NO_OP, whose), planned("backend-policy", Action.NO_OP, whose)]
    steps.append(planned("cluster/gke-west", cluster, "" if cluster is Action.DELETE else whose))
    part = Leftover("forwarding-rules", "gkemcg1-x", "gcloud compute forwarding-rules delete gkemcg1-x --global")
    asked = stack(part)
    asked.spec = cast("Any", argparse.Namespace(name="two-regions", config_cluster="gke-west"))

    left = await teardown.remains(asked, Plan(Verb.DESTROY, tuple(replace(step, present=True) for step in steps)))

    assert left is not None
    assert bool(left.leftovers) is leaves
    text = "\n".join(left.lines(Console({}, out=io.StringIO()).style))
    assert f"  - gateway, backend-policy{'' if leaves else ', cluster/gke-west'}: {whose}" in text
