"""How long a wait goes on without answers."""

from __future__ import annotations

from copy import copy

import pytest

from backend.engine import poll
from backend.errors import Busy, PermissionDenied, RateLimited, Unavailable, Unreachable
from backend.resources.waiting import Watch

PATIENCE_S = 5.0
GONE = Unreachable("cannot read it", cause="refused", fix="start it", patience_s=PATIENCE_S)
SLOW = Unavailable("cannot read it", cause="timeout", fix="wait", patience_s=PATIENCE_S)
BUSY = Busy("an upgrade runs")
Turn = Exception | str | None


class Wait:
    """A watch, and one look after the other: what it finds, or raises, and how much time passes with it."""

    def __init__(self, *turns: Turn, each_s: float = 1.0) -> None:
        self.now = 100.0
        self.told: list[str] = []
        self.watch = Watch(self._note, "the thing", timeout_s=600, look="look", clock=lambda: self.now)
        self._turns, self._each_s = list(turns), each_s

    def _note(self, text: str, *, operation: str | None = None) -> None:
        assert operation is None
        self.told.append(text)

    async def look(self) -> str | None:
        self.now += self._each_s
        turn = self._turns.pop(0)
        if isinstance(turn, Exception):
            raise copy(turn)
        return turn


@pytest.fixture(autouse=True)
def instantly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks follow each other without a pause."""
    monkeypatch.setattr(poll, "SHORTEST_PAUSE_S", 0.0)


@pytest.mark.parametrize("silence", [SLOW, RateLimited("too many requests")])
async def test_a_server_that_does_not_answer_is_waited_for(silence: Exception) -> None:
    wait = Wait(*[silence] * 20, None, silence, "there", each_s=60.0)

    assert await wait.watch.until(wait.look) == "there"
    assert len(wait.told) == 1
    assert wait.told[0].startswith("no answer: ")


async def test_what_is_wrong_for_good_is_no_silence() -> None:
    wait = Wait(SLOW, PermissionDenied("no"))

    with pytest.raises(PermissionDenied):
        await wait.watch.until(wait.look)


async def test_a_server_that_is_gone_is_given_up_after_its_patience() -> None:
    wait = Wait(*[GONE] * 10)

    with pytest.raises(Unreachable) as caught:
        await wait.watch.until(wait.look)

    assert (str(caught.value), caught.value.patience_s) == (str(GONE), 0.0), "nobody has to be patient once more"
    assert wait.now == 100.0 + 1.0 + PATIENCE_S
    assert wait.told == ["no answer: refused"]


@pytest.mark.parametrize("sign_of_life", [None, SLOW])
async def test_a_sign_of_life_begins_the_patience_anew(sign_of_life: Turn) -> None:
    refused: list[Turn] = [GONE] * 5
    wait = Wait(*refused, sign_of_life, *refused, "there")

    assert await wait.watch.until(wait.look) == "there"


async def test_who_is_not_patient_gives_up_without_any_answer() -> None:
    silent: list[Turn] = [SLOW] * 5
    answered = Wait(*silent, None, *silent, "there")
    silence = Wait(*silent, SLOW)

    assert await answered.watch.until(answered.look, patient=False) == "there"
    with pytest.raises(Unavailable):
        await silence.watch.until(silence.look, patient=False)
    assert silence.told == ["no answer: timeout"]


async def test_a_request_is_repeated_while_something_else_works_and_not_without_an_answer() -> None:
    busy, silence = Wait(BUSY, BUSY, "begun"), Wait(SLOW, "begun")

    assert await busy.watch.when_free(busy.look) == "begun"
    assert busy.told == ["waiting for another operation: an upgrade runs"]
    with pytest.raises(Unavailable):
        await silence.watch.when_free(silence.look)
