"""A stack: one specification, the cloud it lives in, and everything that can be done with it.

The one door for every front end. Invariants: opening a stack changes nothing in its cloud; only ``apply`` does, under
the stack's lock and with a journal; what is applied is kept as the stack's specification, and the token never is.
"""

from backend.departures import Departed, departures
from backend.money import Costs, Spent
from backend.prompting import PromptListener
from backend.rules import SpecNote
from backend.stack.opened import Stack
from backend.stack.opening import open_stack
from backend.stack.planning import adopted

__all__ = ["Costs", "Departed", "PromptListener", "SpecNote", "Spent", "Stack", "adopted", "departures", "open_stack"]
