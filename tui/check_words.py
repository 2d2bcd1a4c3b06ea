"""How checks of one kind are counted in words.

A kind is the beginning of a check's id, such as ``permission`` of ``permission/compute.networks.get``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

_WORDS = {
    "api": ("API", "APIs"),
    "permission": ("permission", "permissions"),
    "policy": ("policy", "policies"),
    "region": ("region", "regions"),
    "machine-type": ("machine type", "machine types"),
    "price": ("price", "prices"),
    "quota": ("quota", "quotas"),
    "version": ("version", "versions"),
    "name": ("name", "names"),
    "subnet": ("subnet range", "subnet ranges"),
}
_ABOUT = {"network": "the network", "huggingface": "Hugging Face", "model": "the model", "local": "this machine"}


def counted(kind: str, count: int) -> str:
    """So many checks of one kind.

    >>> counted("permission", 64), counted("local", 5), counted("capacity", 1)
    ('64 permissions', '5 checks of this machine', '1 check of capacity')
    """
    if kind in _WORDS:
        return f"{count} {_WORDS[kind][count != 1]}"
    return f"{count} {'check' if count == 1 else 'checks'} of {_ABOUT.get(kind, kind)}"


def kinds(ids: Iterable[str]) -> str:
    """The checks of these ids, counted by kind in the order in which kinds first come."""
    counts = Counter(one.partition("/")[0] for one in ids)
    return ", ".join(counted(kind, count) for kind, count in counts.items())
