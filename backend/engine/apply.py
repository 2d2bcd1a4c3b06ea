"""Carrying out a plan.

Steps run side by side as soon as everything before them is done, at most ``parallel`` at a time. When a step fails,
those that need it are skipped and all others finish: what has been won is never thrown away. Invariants: every step of
the plan gets exactly one ``step_finished``; ``run_finished`` is always emitted, also when the run is cancelled; a
second run of the same resources continues where the first stopped, because each step may be repeated.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from backend.engine.events import (
    Action,
    Emit,
    Failure,
    Outcome,
    Recorder,
    RunFinished,
    RunStarted,
    StepFinished,
    StepNote,
    StepStarted,
    Verb,
)
from backend.engine.plan import Plan, PlannedStep
from backend.engine.resource import Resource, ResourceId


@dataclass(frozen=True, slots=True)
class Run:
    """Which run this is, for whoever reads its events."""

    id: str
    """Unique name, also that of the journal file."""
    stack: str
    target: str
    speed: float | None = None
    """See ``RunStarted.speed``."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended."""

    outcome: Outcome
    finished: tuple[StepFinished, ...]
    """One for each step of the plan, in the order in which they ended."""
    elapsed_s: float

    @property
    def failures(self) -> tuple[StepFinished, ...]:
        """The steps that failed by themselves, not those skipped because of them."""
        return tuple(step for step in self.finished if step.outcome is Outcome.FAILED)


async def apply(
    plan: Plan,
    resources: Sequence[Resource[Any]],
    *,
    run: Run,
    emit: Emit,
    parallel: int = 16,
    clock: Callable[[], float] = time.monotonic,
) -> Result:
    """Carry out the plan and tell ``emit`` of everything; re-raises only a cancellation, after telling of it."""
    recorder = Recorder(emit)
    began = clock()
    recorder(
        RunStarted(
            run.id,
            run.stack,
            run.target,
            plan.verb,
            tuple((step.resource, step.action) for step in plan.steps),
            plan.estimate_s,
            plan.estimate_p90_s,
            run.speed,
        )
    )
    execution = _Execution(plan, {resource.id: resource for resource in resources}, recorder, parallel, clock)
    outcome = Outcome.CANCELLED
    try:
        await execution.run()
        failed = any(step.outcome is not Outcome.SUCCEEDED for step in execution.finished)
        outcome = Outcome.FAILED if failed else Outcome.SUCCEEDED
    finally:
        elapsed = clock() - began
        recorder(RunFinished(outcome, elapsed, _counts(execution.finished)))
    return Result(outcome, tuple(execution.finished), elapsed)


class _Execution:
    """One run's progress through its plan."""

    def __init__(
        self,
        plan: Plan,
        by_id: dict[ResourceId, Resource[Any]],
        recorder: Recorder,
        parallel: int,
        clock: Callable[[], float],
    ) -> None:
        self._plan = plan
        self._by_id = by_id
        self._recorder = recorder
        self._bound = asyncio.Semaphore(parallel)
        self._clock = clock
        self._ended: dict[ResourceId, asyncio.Future[Outcome]] = {}
        self.finished: list[StepFinished] = []

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self._ended = {planned.resource: loop.create_future() for planned in self._plan.steps}
        async with asyncio.TaskGroup() as group:
            for planned in self._plan.steps:
                group.create_task(self._step(planned), name=f"step {planned.resource}")

    async def _step(self, planned: PlannedStep) -> None:
        began: float | None = None
        try:
            blocked = await self._blocked_by(planned)
            if blocked is not None:
                self._finish(planned, Outcome.SKIPPED, 0.0, reason=f"needs {blocked}, which did not succeed")
            elif planned.action is Action.NO_OP:
                self._finish(planned, Outcome.SUCCEEDED, 0.0, reason=planned.step.reason)
            else:
                async with self._bound:
                    began = self._clock()
                    await self._carry_out(planned, began)
        except asyncio.CancelledError:
            elapsed = 0.0 if began is None else self._clock() - began
            self._finish(planned, Outcome.CANCELLED, elapsed, reason="the run was stopped")
            raise

    async def _blocked_by(self, planned: PlannedStep) -> ResourceId | None:
        for before in sorted(planned.after):
            if await asyncio.shield(self._ended[before]) is not Outcome.SUCCEEDED:
                return before
        return None

    async def _carry_out(self, planned: PlannedStep, began: float) -> None:
        resource, about = self._by_id[planned.resource], planned.about
        self._recorder(
            StepStarted(planned.resource, planned.action, about.region, about.estimate_s, about.estimate_p90_s)
        )

        def note(text: str, *, operation: str | None = None) -> None:
            self._recorder(StepNote(planned.resource, text, operation))

        try:
            if self._plan.verb is Verb.DESTROY:
                await resource.delete(note)
                detail = {}
            else:
                await resource.apply(planned.step, note)
                detail = dict(resource.detail(await resource.wait(note)))
        except Exception as error:
            self._finish(planned, Outcome.FAILED, self._clock() - began, error=Failure.of(error))
        else:
            self._finish(planned, Outcome.SUCCEEDED, self._clock() - began, detail=detail)

    def _finish(
        self,
        planned: PlannedStep,
        outcome: Outcome,
        elapsed_s: float,
        *,
        reason: str = "",
        error: Failure | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        finished = StepFinished(
            planned.resource, planned.action, outcome, elapsed_s, planned.about.region, reason, error, detail or {}
        )
        self.finished.append(finished)
        self._recorder(finished)
        if not self._ended[planned.resource].done():
            self._ended[planned.resource].set_result(outcome)


def _counts(finished: Sequence[StepFinished]) -> dict[str, int]:
    counts = Counter(
        "unchanged" if step.action is Action.NO_OP and step.outcome is Outcome.SUCCEEDED else str(step.outcome)
        for step in finished
    )
    return {name: counts.get(name, 0) for name in ("succeeded", "unchanged", "failed", "skipped", "cancelled")}
