"""Kinds by the names that objects carry."""

import pytest

from backend.clients import kinds
from backend.clients.kinds import Kind


def test_every_kind_is_known_by_its_name() -> None:
    named = [one for one in vars(kinds).values() if isinstance(one, Kind)]
    assert kinds.EVENT in named
    for one in named:
        assert Kind.of({"apiVersion": one.group_version, "kind": one.name}) is one
    with pytest.raises(KeyError):
        Kind.of({"apiVersion": "v1", "kind": "Secretary"})
