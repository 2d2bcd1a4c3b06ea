"""A kubeconfig as a text with named entries.

Only the entries that are asked for change: comments, order and everything else of the text stay. Invariant: a changed
text says what the changed data says; where editing the text cannot be shown to do that (flow style, aliases), the whole
is written anew and its comments are lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from backend.errors import UsageError

Json = dict[str, Any]

LISTS = {"clusters": "cluster", "contexts": "context", "users": "user"}
"""The lists of a kubeconfig, and the field of an item that has its content."""
CURRENT = "current-context"
_EMPTY: Json = {"apiVersion": "v1", "kind": "Config", "preferences": {}}


class Kubeconfig:
    """One kubeconfig; raises ``UsageError`` when the text is none."""

    def __init__(self, text: str, *, path: str) -> None:
        self.path = path
        self.text = text
        self.data = self._parsed(text)

    def entry(self, section: str, name: str) -> Json | None:
        """The content of a named item; ``None`` when absent."""
        for item in self.data.get(section) or ():
            if item.get("name") == name:
                return item.get(LISTS[section]) or {}
        return None

    @property
    def current(self) -> str:
        """The current context; empty without one."""
        return str(self.data.get(CURRENT) or "")

    def put(self, section: str, name: str, content: Mapping[str, Any]) -> None:
        """Set the content of a named item, which stays at its place or comes last."""
        items = list(self.data.get(section) or ())
        made = {"name": name, LISTS[section]: dict(content)}
        at = next((index for index, item in enumerate(items) if item.get("name") == name), len(items))
        self._change(section, [*items[:at], made, *items[at + 1 :]], at, made)

    def remove(self, section: str, name: str) -> None:
        """Take a named item out, if it is there."""
        items = list(self.data.get(section) or ())
        at = next((index for index, item in enumerate(items) if item.get("name") == name), None)
        if at is not None:
            self._change(section, items[:at] + items[at + 1 :], at, None)

    def set_current(self, name: str) -> None:
        """Set the current context; an empty name takes it away."""
        data = self.data | {CURRENT: name}
        lines = self.text.splitlines(keepends=True)
        node = _child(_root(self.text), CURRENT)
        line = yaml.safe_dump({CURRENT: name})
        if node is None:
            lines = [*_ended(lines), line]
        else:
            lines[node.start_mark.line : _last_line(node) + 1] = [line]
        self._take("".join(lines), data)

    def _change(self, section: str, items: list[Json], at: int, made: Json | None) -> None:
        data = self.data | {section: items}
        lines = self.text.splitlines(keepends=True)
        node = _child(_root(self.text), section)
        if node is None:
            text = yaml.safe_dump({section: items}, sort_keys=False)
            self._take("".join([*_ended(lines), text]), data)
            return
        if not isinstance(node, yaml.SequenceNode) or node.flow_style or not items:
            self._take("", data)
            return
        indent = " " * node.start_mark.column
        dumped = "" if made is None else yaml.safe_dump([made], sort_keys=False)
        block = [f"{indent}{line}" for line in dumped.splitlines(keepends=True)]
        if at < len(node.value):
            old = node.value[at]
            lines[old.start_mark.line : _last_line(old) + 1] = block
        else:
            lines = _ended(lines)
            end = _last_line(node) + 1
            lines[end:end] = block
        self._take("".join(lines), data)

    def _take(self, text: str, data: Json) -> None:
        try:
            same = yaml.safe_load(text) == data
        except yaml.YAMLError:
            same = False
        self.text = text if same else yaml.safe_dump(data, sort_keys=False)
        self.data = data

    def _parsed(self, text: str) -> Json:
        try:
            found = yaml.safe_load(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = "" if mark is None else f":{mark.line + 1}"
            problem = getattr(error, "problem", None) or "it cannot be parsed"
            raise self._unreadable(f"{self.path}{where} is not YAML", str(problem)) from error
        if found is None:
            self.text = "".join([*_ended(text.splitlines(keepends=True)), yaml.safe_dump(_EMPTY, sort_keys=False)])
            return dict(_EMPTY)
        sound = isinstance(found, dict) and all(
            isinstance(items := found.get(section) or [], list) and all(isinstance(item, dict) for item in items)
            for section in LISTS
        )
        if not sound:
            raise self._unreadable(f"{self.path} is no kubeconfig", "clusters, contexts and users are lists of entries")
        return dict(found)

    def _unreadable(self, message: str, cause: str) -> UsageError:
        fix = f"mend {self.path}, or name another file: --set kubeconfig=FILE; it was not touched"
        return UsageError(message, cause=cause, fix=fix)


def _root(text: str) -> yaml.Node | None:
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _child(root: yaml.Node | None, name: str) -> yaml.Node | None:
    if not isinstance(root, yaml.MappingNode):
        return None
    return next((value for key, value in root.value if key.value == name), None)


def _last_line(node: yaml.Node) -> int:
    """The last line that has content of a node: a block's own end mark stands after the comments that follow it."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return max(_last_line(value) for _, value in node.value)
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return max(_last_line(item) for item in node.value)
    end: int = node.end_mark.line
    return end - 1 if node.end_mark.column == 0 and end > node.start_mark.line else end


def _ended(lines: list[str]) -> list[str]:
    """The lines, the last one with its line break."""
    return [*lines[:-1], lines[-1].rstrip("\n") + "\n"] if lines else []
