"""The app's colours: dark, light, and one of high contrast.

Invariant: colour only supports what a glyph and a word already say.
"""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="mcig-dark",
    primary="#7cb7ff",
    secondary="#9d8cff",
    accent="#f2c27b",
    foreground="#d9dee8",
    background="#12151c",
    surface="#191d27",
    panel="#232937",
    success="#86d39b",
    warning="#eec576",
    error="#f4838d",
    dark=True,
    variables={
        "border": "#323a4c",
        "quiet": "#8e98ab",
        "faint": "#4a5468",
        "border-blurred": "#232937",
        "block-cursor-background": "#2b3a55",
        "block-cursor-foreground": "#ffffff",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "#222a3a",
        "footer-background": "#12151c",
        "footer-key-foreground": "#f2c27b",
        "footer-description-foreground": "#8e98ab",
        "input-selection-background": "#7cb7ff 35%",
    },
)
LIGHT = Theme(
    name="mcig-light",
    primary="#1f5fbf",
    secondary="#5b4bc4",
    accent="#8a5a00",
    foreground="#1d2330",
    background="#fbfbfd",
    surface="#f1f3f8",
    panel="#e2e6ef",
    success="#1c7a3c",
    warning="#8a5a00",
    error="#b3261e",
    dark=False,
    variables={
        "border": "#c3cad8",
        "quiet": "#566074",
        "faint": "#a9b2c3",
        "border-blurred": "#dde2ec",
        "block-cursor-background": "#cfe0fa",
        "block-cursor-foreground": "#0b1c38",
        "block-cursor-text-style": "none",
        "footer-background": "#fbfbfd",
        "footer-key-foreground": "#8a5a00",
        "footer-description-foreground": "#566074",
        "input-selection-background": "#1f5fbf 30%",
    },
)
CONTRAST = Theme(
    name="mcig-contrast",
    primary="#ffff00",
    secondary="#00ffff",
    accent="#00ffff",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1a1a1a",
    success="#00ff66",
    warning="#ffd400",
    error="#ff6b6b",
    dark=True,
    text_alpha=1.0,
    variables={
        "border": "#ffffff",
        "quiet": "#d8d8d8",
        "faint": "#9a9a9a",
        "border-blurred": "#aaaaaa",
        "block-cursor-background": "#ffff00",
        "block-cursor-foreground": "#000000",
        "block-cursor-text-style": "bold",
        "footer-background": "#000000",
        "footer-key-foreground": "#ffff00",
        "footer-description-foreground": "#ffffff",
    },
)
DEFAULTS = {"quiet": "#8a8a8a", "faint": "#6a6a6a"}
"""Colours of our own, for themes that do not have them."""
THEMES = (DARK, LIGHT, CONTRAST)
