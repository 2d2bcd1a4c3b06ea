"""What every block of a specification is made of: its base and the kinds of names in it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

DnsLabel = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")]
"""A lower-case name as Kubernetes and Google Cloud take it."""
ClusterName = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")]
"""GKE allows 40 characters for clusters and node pools."""
ProjectId = Annotated[str, Field(min_length=6, max_length=30, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])$")]
RegionName = Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+[0-9]+$")]
ZoneName = Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+[0-9]+-[a-z]$")]
Port = Annotated[int, Field(ge=1, le=65535)]


class Part(BaseModel):
    """A block of a specification: frozen, and refuses keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, use_attribute_docstrings=True)
