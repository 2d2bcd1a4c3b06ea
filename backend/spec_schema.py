"""The JSON Schema of a specification, for editors.

Made from the models, whose docstrings are the descriptions that an editor shows. Invariants: whatever ``mcig`` reads
without a problem the schema accepts; a key that there is not, it refuses.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from enum import Enum
from typing import Any

from backend import spec
from backend.spec import GatewaySpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID = "urn:mcig:specification"


def json_schema() -> dict[str, Any]:
    """Give the schema as a JSON document."""
    described = GatewaySpec.model_json_schema(by_alias=True)
    parts: dict[str, Any] = described["$defs"]
    for part in (described, *parts.values()):
        part.pop("title", None)
        for field in part.get("properties", {}).values():
            field.pop("title", None)
            if "description" in field:
                field["description"] = _plain(field["description"])
        if "description" in part:
            part["description"] = _plain(part["description"])
    for name, part in parts.items():
        kind = getattr(spec, name)
        if issubclass(kind, Enum):
            part["enumDescriptions"] = [_plain(_member_docs(kind).get(member.name, "")) for member in kind]
    described["required"] = [key for key in described["required"] if key != "name"]  # a file's own name stands in
    return {"$schema": DIALECT, "$id": ID, "title": "mcig specification", **described}


def _plain(text: str) -> str:
    return text.replace("``", "`")


def _member_docs(kind: type[Enum]) -> dict[str, str]:
    """Docstrings of an enumeration's members, which Python itself does not keep."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - the source of a class is one
    found: dict[str, str] = {}
    for member, doc in zip(body.body, body.body[1:], strict=False):
        match member, doc:
            case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = text
    return found
