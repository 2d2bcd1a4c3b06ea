"""Values that are typed as options, for argparse; each raises ``ArgumentTypeError`` that says what it has to be."""

from __future__ import annotations

import argparse
import math
import re

_CHOICE = re.compile(r"invalid choice: (?P<typed>.+) \(choose from (?P<known>.+)\)")


def number(text: str) -> float:
    """Read a number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return value


def count(text: str) -> int:
    """Read a whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def port(text: str) -> int:
    """Read a port; 0 stands for a free one."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def plainly(message: str) -> str:
    """What argparse says of wrong usage, in the words of mcig.

    >>> plainly("argument --target: invalid choice: 'moon' (choose from 'gke', 'emulator')")
    "--target: 'moon' is not one of gke, emulator"
    """
    told = message.removeprefix("argument ")
    return _CHOICE.sub(lambda found: f"{found['typed']} is not one of {found['known'].replace(chr(39), '')}", told)
