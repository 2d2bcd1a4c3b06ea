"""Why a stack is not as it should be: what the cloud says, what that means, and what to do about it.

Front ends import from here. Invariant: looking for reasons changes nothing, and a reason is told only with the evidence
for it.
"""

from backend.explain.causes import TABLE, Known, known
from backend.explain.tree import Node, State, explain

__all__ = ["TABLE", "Known", "Node", "State", "explain", "known"]
