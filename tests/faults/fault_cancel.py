"""A send that is cancelled at one of its awaits: its unresolved send must be handed over and resolve correctly."""

import math
from collections.abc import Sequence
from functools import partial
from itertools import count
from typing import Final

import anyio
import trio

from tests.faults.fault_cases import (
    LATE,
    SENDERS,
    Answers,
    Scene,
    Summary,
    Verb,
    judge_answers,
    judge_cancelled,
    recipients,
    run,
    scene,
)
from tests.faults.fault_network import Fault, Kind, Side

__all__ = ["SITUATIONS", "cancel_at_each_await"]

SITUATIONS: Final = (
    None,
    Fault(Kind.CUT, Side.CONNECT),
    Fault(Kind.STALL, Side.REQUEST, 400),
    Fault(Kind.STALL, Side.REQUEST, 400, late=2.5),
    Fault(Kind.CUT, Side.REQUEST, 400, late=4.9),
    Fault(Kind.CUT, Side.RESPONSE, 100),
    Fault(Kind.PAGE, Side.RESPONSE, 0),
    Fault(Kind.RESET, Side.RESPONSE, 0, lasts=20.0),
    Fault(Kind.CUT, Side.RESPONSE, 0, lasts=math.inf),
)
"""The faults during which a send is cancelled; None for a healthy network."""

# A lost send counts as a bad send for ten minutes, and 99 of them stop the guards.
_REST: Final = 20.0


class _After(trio.abc.Instrument):
    """Cancels a scope after `steps` steps of its task and that task's children."""

    def __init__(self, scope: anyio.CancelScope, steps: int) -> None:
        self.steps = 0
        self._scope = scope
        self._most = steps
        self.task: trio.lowlevel.Task | None = None

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if self._is_ours(task):
            self.steps += 1
            if self.steps == self._most:
                self._scope.cancel()

    def _is_ours(self, task: trio.lowlevel.Task | None) -> bool:
        while task is not None and task is not self.task:
            task = None if task.parent_nursery is None else task.parent_nursery.parent_task
        return task is not None


def cancel_at_each_await(verb: Verb, fault: Fault | None) -> Summary:
    """Cancel a send at each of its awaits, one after the other, and judge the result."""
    summary = Summary()
    run(partial(_cancel_at_each_await, verb, fault, summary))
    return summary


async def _cancel_at_each_await(verb: Verb, fault: Fault | None, summary: Summary) -> None:
    async with scene(summary=summary) as stage:
        for steps in count(1):
            await anyio.sleep(_REST)
            people = recipients(stage, verb)
            if fault is not None:
                stage.network.break_down(fault, reconnect=fault.side is Side.CONNECT)
            has_ended, answers = await _send(stage, verb, people, steps)
            if has_ended:
                break
            summary.cases += 1
            try:
                await (judge_cancelled(stage, people) if answers is None else judge_answers(stage, people, answers))
            except Exception as error:  # noqa: BLE001 - any exception of the client is wrong here
                summary.wrong.append(f"{verb}, cancelled at step {steps}, {fault}: {error!r}")
        await _check_nothing_leaked(stage)


async def _send(stage: Scene, verb: Verb, people: Sequence[str], steps: int) -> tuple[bool, Answers | None]:
    """Send, cancelled after `steps` steps; return whether it ended before that, and its answers if there are any."""
    scope = anyio.CancelScope()
    after = _After(scope, steps)
    answers: Answers | None = None

    async def attempt() -> None:
        nonlocal answers
        after.task = trio.lowlevel.current_task()
        trio.lowlevel.add_instrument(after)
        try:
            with scope:
                answers = await SENDERS[verb](stage.client, stage.timeout, people)
        finally:
            trio.lowlevel.remove_instrument(after)

    async with anyio.create_task_group() as group:
        group.start_soon(attempt)
    return after.steps < steps, answers


async def _check_nothing_leaked(stage: Scene) -> None:
    stage.network.heal()
    await anyio.sleep(4 * LATE)
    guards = stage.client.guards
    assert guards is not None
    snapshot = await guards.snapshot()
    held = {name: rule.in_flight for name, rule in snapshot.rules.items() if rule.in_flight}
    assert not held, f"slots are still held: {held}"
    await stage.client.balance()
