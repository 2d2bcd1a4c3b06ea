"""Model & token: what is served, and whose token opens it."""

from __future__ import annotations

from collections.abc import Iterable

from textual import on
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input, Label

from backend.errors import McigError
from backend.spec import GatewaySpec, Target
from tui.screens.pages.base import PageView

WHERE_FROM = "Read from HF_TOKEN or Hugging Face's cache, or typed here; kept in memory only, never written down."


class ModelView(PageView):
    """The page."""

    def tail(self) -> Iterable[Widget]:
        """The token, masked."""
        source = self.session.token_from
        typed = self.session.token.get_secret_value() if self.session.token else ""
        with Horizontal(classes="line"):
            yield Label("Hugging Face token", classes="label")
            yield Input(
                typed,
                password=True,
                compact=True,
                max_length=200,
                select_on_focus=False,
                placeholder=f"found in {source}" if source else "hf_…",
                id="token",
                tooltip=WHERE_FROM,
            )
        yield Label(("…" if source or typed else ""), id="owner", markup=False)

    async def look(self, spec: GatewaySpec) -> None:
        """Find out whom the token belongs to."""
        label = self.query_one("#owner", Label)
        token = self.session.hugging_face(spec.target)
        if token is None:
            label.update("none yet: type one, or set HF_TOKEN and start again")
            return
        survey = await self.session.survey(spec)
        try:
            owner = await survey.token_owner(token)
        except McigError as error:
            label.update(f"? {error.message}")
            return
        if spec.target is Target.EMULATOR and self.session.token is None and not self.session.token_from:
            label.update("the rehearsal brings a token of its own")
        elif owner.valid:
            label.update(f"✓ belongs to {owner.name}" + (f" ({owner.scope})" if owner.scope else ""))
        elif owner.valid is None:
            label.update("? whose it is could not be asked")
        else:
            label.update("✗ Hugging Face does not know it; make one at huggingface.co/settings/tokens")

    @on(Input.Changed, "#token")
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.session.type_token(event.value)
        self.post_message(self.Changed(self))

    @on(Input.Submitted, "#token")
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.screen.focus_next()
