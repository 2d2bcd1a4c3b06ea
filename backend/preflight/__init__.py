"""Checks that cost nothing, each with a fix: what stands in a specification's way before anything is made.

``mcig doctor``, ``mcig apply`` and every wizard ask through this one set. Invariant: a check only reads, and tells what
it could not read as ``unknown``.
"""

from __future__ import annotations

from backend.preflight.check import Check
from backend.preflight.findings import Finding, Topic, Verdict, in_order, refusing
from backend.preflight.ignoring import check_ignored
from backend.preflight.offers import NetworkOffer, RegionOffer, SubnetOffer, TokenOwner
from backend.preflight.survey import CHECKS, Survey, open_survey
from backend.surroundings import hugging_face_token, project_of

__all__ = [
    "CHECKS",
    "Check",
    "Finding",
    "NetworkOffer",
    "RegionOffer",
    "SubnetOffer",
    "Survey",
    "TokenOwner",
    "Topic",
    "Verdict",
    "check_ignored",
    "hugging_face_token",
    "in_order",
    "open_survey",
    "project_of",
    "refusing",
]
