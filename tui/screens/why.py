"""The whole stack as a tree, with cause and fix for what is not ready.

Invariant: looking changes nothing; what is ready is folded, what is not is open from the first frame on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.getters import query_one
from textual.widgets import Footer, Label, Static, Tree
from textual.widgets.tree import TreeNode

from backend.errors import McigError
from tui.leaving import Leavable

if TYPE_CHECKING:
    from backend.explain import Node
    from backend.stack import Stack

SIGNS = {"ready": ("✓", "green"), "not ready": ("✗", "bold red"), "unknown": ("?", "yellow")}

HELP = """\
Everything that the gateway needs, from the fleet down to each Pod. Where something is not ready, the lines below the
tree say what the cloud says of it, the usual cause and the way out. **r** looks again, **y** copies the fix.
"""


class WhyScreen(Leavable[None]):
    """Shows the tree of one stack."""

    DEFAULT_CSS = """
    WhyScreen {
        #title { padding: 0 1; height: 2; text-style: bold; }
        Tree { height: 1fr; padding: 0 1; background: $background; scrollbar-size: 0 1; }
        #about { height: 9; border-top: solid $border-blurred; padding: 0 1; scrollbar-size-vertical: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "again", "Look again", tooltip="Ask the cloud once more"),
        Binding("n", "next", "Next", tooltip="The next thing that is not ready"),
        Binding("y", "copy", "Copy the fix", tooltip="Copy the way out of what is selected"),
        Binding("escape,q", "dismiss(None)", "Back", key_display="esc", tooltip="Back to the monitor"),
    ]
    tree_view = query_one("Tree", Tree)
    about = query_one("#about-text", Static)
    title_label = query_one("#title", Label)

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self._stack = stack
        self._selected: Node | None = None

    @property
    def _looking(self) -> str:
        return f"{self._stack.spec.name}: looking …"

    def compose(self) -> ComposeResult:
        """The tree, and below it what is known of the selected branch."""
        yield Label(self._looking, id="title", markup=False)
        yield Tree[object](self._stack.spec.name)
        with VerticalScroll(id="about", can_focus=False):
            yield Static(id="about-text", markup=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Look."""
        self.tree_view.show_root = False
        self.tree_view.focus()
        self.action_again()

    def help_text(self) -> tuple[str, str]:
        """Title and text of the help page."""
        return "Why", HELP

    @work(exclusive=True)
    async def action_again(self) -> None:
        """Ask the cloud and show what it says."""
        self.title_label.update(self._looking)
        try:
            node = await self._stack.explain()
        except McigError as error:
            self.title_label.update(f"✗ {error.message} {error.fix}")
            return
        self.show(node)

    def show(self, node: Node) -> None:
        """Show a tree."""
        leaves = list(node.leaves())
        many = f"{len(leaves)} not ready" if leaves else "everything is ready"
        self.title_label.update(f"{'✗' if leaves else '✓'} {node.name}: {many}")
        self.tree_view.clear()
        for child in node.children:
            self._add(self.tree_view.root, child)
        self.tree_view.root.expand()
        self.call_after_refresh(self.action_next)

    def _add(self, parent: TreeNode[object], node: Node) -> None:
        sign, style = SIGNS[node.state]
        from rich.text import Text

        words = "" if node.state == "ready" else f"  {node.state}"
        label = Text.assemble((f"{sign} ", style), node.name, (words, style))
        if not node.children:
            parent.add_leaf(label, data=node)
            return
        branch = parent.add(label, data=node, expand=node.state != "ready")
        for child in node.children:
            self._add(branch, child)

    def action_next(self) -> None:
        """Go to the next leaf that is not ready."""
        lines = [
            node
            for node in _all(self.tree_view.root)
            if not node.children and getattr(node.data, "state", "ready") != "ready"
        ]
        after = [node for node in lines if node.line > self.tree_view.cursor_line]
        if lines:
            self.tree_view.move_cursor((after or lines)[0])

    @on(Tree.NodeHighlighted)
    def _highlighted(self, event: Tree.NodeHighlighted[object]) -> None:
        node = cast("Node | None", event.node.data)
        self._selected = node
        self.about.update("" if node is None else _about(node))

    def action_copy(self) -> None:
        """Copy the way out."""
        if self._selected is not None and self._selected.fix:
            self.app.copy_to_clipboard(self._selected.fix)
            self.notify("Copied the fix.")


def _about(node: Node) -> Content:
    """What the cloud says of a branch, the usual cause and the way out."""
    if node.state == "ready":
        return Content.styled("as it should be", "$quiet")
    facts = (("says", node.said), ("cause", node.cause), ("fix", node.fix))
    return Content("\n").join(Content.assemble((f"{label:<7}", "$quiet"), text) for label, text in facts if text)


def _all(node: TreeNode[object]) -> list[TreeNode[object]]:
    return [node, *(one for child in node.children for one in _all(child))]
