"""One way into a gateway, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    """An address of the gateway in one region."""

    region: str
    address: str
    """The private address inside the VPC network."""
    base_url: str
    """Where an OpenAI client connects to."""
