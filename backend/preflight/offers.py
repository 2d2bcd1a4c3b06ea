"""What a cloud has to offer for a specification: regions, networks, and who a token belongs to.

Invariant: a price carries the day for which it holds, Google's own or the catalogue's; what is not known is ``None``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from ipaddress import IPv4Network


@dataclass(frozen=True, slots=True)
class RegionOffer:
    """What one region offers for the GPU pool of a specification."""

    region: str
    zones: tuple[str, ...]
    """Zones that have the machine type; empty when none has, or when only the region is known."""
    limit: float | None
    """GPUs that the quota allows; ``None`` when it could not be read, or when this purchase draws on none."""
    used: float | None
    """GPUs of the quota in use; ``None`` when it could not be read."""
    needed: float
    """GPUs that the specification's pool would take here beside those that it has."""
    usd_per_hour: float | None
    """Price of the whole pool here: Google's own for Spot in the specification's regions, else the catalogue's;
    ``None`` when unknown."""
    price_date: date | None
    """Day for which that price was told."""
    capacity: str | None
    """What Google says of free Spot machines: ``likely``, ``uncertain``, ``unlikely``; ``None`` when it was not
    asked, as it is only for the regions of the specification, or did not say."""
    fits: bool | None
    """Whether zones and quota suffice; ``None`` when that is not known."""
    instead: tuple[str, ...]
    """Nearest regions that have the machine type, nearest first."""

    @property
    def free(self) -> float | None:
        """GPUs that can still be had under the quota; ``None`` when unknown."""
        return None if self.limit is None else self.limit - (self.used or 0)


@dataclass(frozen=True, slots=True)
class SubnetOffer:
    """One subnetwork of a VPC."""

    name: str
    region: str
    range: IPv4Network | None
    """Its primary range; ``None`` where it has none in IPv4."""
    purpose: str
    """``PRIVATE``, ``GLOBAL_MANAGED_PROXY``, ``REGIONAL_MANAGED_PROXY`` and so on, as Compute Engine names them."""
    role: str | None
    """``ACTIVE`` or ``BACKUP`` for a proxy-only subnet."""

    @property
    def proxy_only(self) -> bool:
        """Whether it is kept for the proxies of load balancers."""
        return self.purpose.endswith("MANAGED_PROXY") or self.purpose == "INTERNAL_HTTPS_LOAD_BALANCER"


@dataclass(frozen=True, slots=True)
class NetworkOffer:
    """One VPC network of the project."""

    name: str
    auto: bool
    """Whether it makes an ordinary subnetwork in every region by itself."""
    subnetworks: tuple[SubnetOffer, ...]
    """All of its subnetworks in all regions."""

    def in_region(self, region: str) -> tuple[SubnetOffer, ...]:
        """Ordinary subnetworks in a region, where clusters can be put."""
        return tuple(one for one in self.subnetworks if one.region == region and not one.proxy_only)

    def proxy_only(self, region: str) -> SubnetOffer | None:
        """The active proxy-only subnet of a region; ``None`` without."""
        found = (one for one in self.subnetworks if one.region == region and one.proxy_only and one.role != "BACKUP")
        return next(found, None)


@dataclass(frozen=True, slots=True)
class TokenOwner:
    """Who a Hugging Face token belongs to."""

    name: str | None
    """User or organisation; ``None`` when the hub does not know the token or did not answer."""
    scope: str | None
    """What the token may do: ``read``, ``write``, ``fineGrained``; ``None`` when not told."""
    valid: bool | None
    """Whether the hub accepts it; ``None`` when the hub could not be asked."""
    detail: str
    """The hub's own words, or why it could not be asked; empty when all is well."""
