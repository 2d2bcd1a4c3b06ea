"""How long a wait goes on without answers."""

import pytest

from backend.errors import Unavailable, Unreachable
from backend.resources.waiting import REFUSED_FOR_S, Watch

GONE = Unreachable("cannot read it", cause="refused", fix="start it")
SLOW = Unavailable("cannot read it", cause="timeout", fix="wait")


class Wait:
    """A watch whose time is set by hand, and what it told."""

    def __init__(self) -> None:
        self.now = 100.0
        self.told: list[str] = []
        self.watch = Watch(self._note, "the thing", timeout_s=600, look="look", clock=lambda: self.now)

    def _note(self, text: str, *, operation: str | None = None) -> None:
        assert operation is None
        self.told.append(text)


def test_a_server_that_is_gone_is_given_up_after_seconds() -> None:
    wait = Wait()
    wait.watch.unanswered(GONE)
    wait.now += REFUSED_FOR_S - 0.1
    wait.watch.unanswered(GONE)
    wait.now += 0.1
    with pytest.raises(Unreachable) as caught:
        wait.watch.unanswered(GONE)
    assert caught.value is GONE
    assert wait.told == ["no answer: refused"]


def test_a_slow_server_is_waited_for() -> None:
    wait = Wait()
    for _ in range(3):
        wait.watch.unanswered(SLOW)
        wait.now += REFUSED_FOR_S
    assert wait.told == ["no answer: timeout"]


@pytest.mark.parametrize("sign_of_life", ["an answer", "a slow one"])
def test_a_sign_of_life_begins_the_patience_anew(sign_of_life: str) -> None:
    wait = Wait()
    for _ in range(3):
        wait.watch.unanswered(GONE)
        wait.now += REFUSED_FOR_S
        if sign_of_life == "an answer":
            wait.watch.saw("not ready")
        else:
            wait.watch.unanswered(SLOW)
