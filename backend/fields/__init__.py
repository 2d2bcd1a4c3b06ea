"""The questions that make a specification, declared once.

The wizard, the plain questions and the documentation render these; nothing is rendered here.
"""

from __future__ import annotations

from backend.fields.field import Choice, Field, Kind, Page
from backend.fields.pages import PAGES, page_of, problems_on

__all__ = ["PAGES", "Choice", "Field", "Kind", "Page", "page_of", "problems_on"]
