"""doctor: everything that can be known before anything is made."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from tui.invocation import Exit, Invocation, speed

if TYPE_CHECKING:
    from backend.spec import GatewaySpec


def run(invocation: Invocation, options: argparse.Namespace) -> int:
    """Run the preflight alone, or ask for the quota that one of its checks found short."""
    if options.list:
        return _list(invocation)
    if options.ignore:
        from backend.preflight import check_ignored

        check_ignored(options.ignore)
    spec = invocation.spec(options.spec)
    if options.request is not None:
        return invocation.interrupts.run(_request(invocation, options, spec))
    return invocation.interrupts.run(_examine(invocation, options, spec))


def _list(invocation: Invocation) -> int:
    from backend.preflight import CHECKS
    from tui.findings_text import check_lines

    if invocation.json:
        invocation.console.result([{"ids": one.ids, "reads": one.reads, "saves": one.saves} for one in CHECKS])
    else:
        invocation.console.say_all(check_lines(CHECKS, invocation.console.style))
    return Exit.DONE


async def _examine(invocation: Invocation, options: argparse.Namespace, spec: GatewaySpec) -> int:
    from backend.preflight import hugging_face_token, open_survey, project_of, refusing
    from tui.findings_text import findings_lines

    console = invocation.console
    pace = None if options.speed is None else speed(options.speed)

    def again(*added: str) -> str:
        return invocation.again("doctor", spec.name if options.spec is None else options.spec, added=added)

    async with open_survey(
        spec.target,
        project_of(spec, invocation.environ),
        places=invocation.places,
        environ=invocation.environ,
        note=lambda line: console.say_all(console.style.wrap(f"note: {line}", indent="      ")),
        speed=pace,
        rehearsal=spec.rehearsal,
    ) as survey:
        began = time.monotonic()
        found = await survey.findings(spec, token=hugging_face_token(spec.target, invocation.environ), again=again)
        took = time.monotonic() - began
        where = survey.description
    if invocation.json:
        console.result({"stack": spec.name, "target": str(spec.target), "checks": [one.to_json() for one in found]})
    else:
        console.say_all(findings_lines(found, stack=spec.name, where=where, style=console.style, took_s=took))
    return Exit.REFUSED if refusing(found, options.ignore) else Exit.DONE


async def _request(invocation: Invocation, options: argparse.Namespace, spec: GatewaySpec) -> int:
    from backend.preflight import open_survey, project_of

    async with open_survey(
        spec.target,
        project_of(spec, invocation.environ),
        places=invocation.places,
        environ=invocation.environ,
        rehearsal=spec.rehearsal,
    ) as survey:
        answer = await survey.request_quota(spec, options.request, email=options.email)
    if invocation.json:
        invocation.console.result({"request": options.request, "answer": answer})
    else:
        invocation.console.say(answer)
    return Exit.DONE
