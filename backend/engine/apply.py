"""Carrying out a plan.

Steps run side by side as soon as everything before them is done, at most ``parallel`` at a time. When a step fails,
those that need it are skipped and all others finish: what has been won is never thrown away. Invariants: every step of
the plan gets exactly one ``step_finished``; ``run_finished`` is always emitted, also when the run is cancelled; a
second run of the same resources continues where the first stopped, because each step may be repeated. For the same
reason a step whose error has ``patience_s``, seconds within which a hindrance passes, is tried again for that long.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

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
from backend.engine.poll import pause_after
from backend.engine.resource import Note, Resource, ResourceId

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Run:
    """Which run this is, for whoever reads its events."""

    id: str
    """Unique name, also that of the journal file."""
    stack: str
    target: str
    speed: float | None = None
    """See ``RunStarted.speed``."""
    report: str = ""
    """What to do about a fault of the program itself, as a fix."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended."""

    outcome: Outcome
    finished: tuple[StepFinished, ...]
    """One for each step of the plan, in the order in which they ended."""
    elapsed_s: float
    unheard: Exception | None = None
    """The first fault of a listener, after which it was told nothing more."""

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
    record: Emit | None = None,
    parallel: int = 16,
    clock: Callable[[], float] = time.monotonic,
) -> Result:
    """Carry out the plan and tell ``emit`` of everything; re-raises only a cancellation, after telling of it.

    ``record`` hears everything before ``emit`` does. What either raises is kept in the result: what is under way in a
    cloud does not depend on who listens.
    """
    recorder = Recorder(emit) if record is None else Recorder(record, emit)
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
    execution = _Execution(plan, resources, recorder, run.report, parallel=parallel, clock=clock)
    outcome = Outcome.CANCELLED
    try:
        await execution.run()
        failed = any(step.outcome is not Outcome.SUCCEEDED for step in execution.finished)
        outcome = Outcome.FAILED if failed else Outcome.SUCCEEDED
    finally:
        elapsed = clock() - began
        recorder(RunFinished(outcome, elapsed, _counts(execution.finished)))
    return Result(outcome, tuple(execution.finished), elapsed, recorder.fault)


class _Execution:
    """One run's progress through its plan."""

    def __init__(
        self,
        plan: Plan,
        resources: Sequence[Resource[Any]],
        recorder: Recorder,
        report: str,
        *,
        parallel: int,
        clock: Callable[[], float],
    ) -> None:
        self._plan = plan
        self._by_id = {resource.id: resource for resource in resources}
        self._recorder, self._report = recorder, report
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
            if not self._ended[planned.resource].done():
                self._recorder(StepNote(planned.resource, text, operation))

        try:
            if self._plan.verb is Verb.DESTROY:
                await self._again(lambda: resource.delete(note), note)
                detail = {}
            else:
                await self._again(lambda: resource.apply(planned.step, note), note)
                detail = dict(resource.detail(await self._again(lambda: resource.wait(note), note)))
        except planned.forgiven as error:
            self._finish(planned, Outcome.SUCCEEDED, self._clock() - began, reason=f"{planned.step.reason}: {error}")
        except Exception as error:
            self._finish(planned, Outcome.FAILED, self._clock() - began, error=Failure.of(error, self._report))
        else:
            self._finish(planned, Outcome.SUCCEEDED, self._clock() - began, detail=detail)

    async def _again(self, attempt: Callable[[], Awaitable[Found]], note: Note) -> Found:
        """Do what may be repeated until nothing hinders it, for as long as the error says that this is worth it.

        An attempt may have been as patient itself; one that lasted longer than that was not hindered from its start.
        """
        since: float | None = None
        told = ""
        while True:
            began = self._clock()
            try:
                return await attempt()
            except Exception as error:
                now, patience_s = self._clock(), getattr(error, "patience_s", 0.0)
                since = now if since is None or now - began > 2 * patience_s else since
                if now - since >= patience_s:
                    raise
                if (text := f"no answer: {getattr(error, 'cause', '') or error}") != told:
                    told = text
                    note(told)
            await asyncio.sleep(pause_after(now - since))

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
