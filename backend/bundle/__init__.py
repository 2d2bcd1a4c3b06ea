"""What a bug report should hold, in one file: gathered, redacted, packed.

``mcig support-bundle`` asks through this door. Invariants: gathering changes nothing and starts nothing; every text
passes the redaction on its way into the file; what could not be read is told with the reason instead of failing.
"""

from __future__ import annotations

from backend.bundle.archive import Bundle, free_path, pack
from backend.bundle.contents import Missing, Piece, Subject, gather
from backend.bundle.redaction import Redaction, redaction_for

__all__ = [
    "Bundle",
    "Missing",
    "Piece",
    "Redaction",
    "Subject",
    "free_path",
    "gather",
    "pack",
    "redaction_for",
]
