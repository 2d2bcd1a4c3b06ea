"""Server-sent events, as a model server streams its tokens.

Invariant: how the bytes are cut into pieces never matters, not even within a character or a line end; lines that are no
field of an event are passed over.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator


class Events:
    """Puts the data of events together from pieces of a stream."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._line = ""
        self._data: list[str] = []
        self._after_cr = False

    def feed(self, piece: bytes) -> Iterator[str]:
        """Take a piece of the stream and give the data of each event that it completes."""
        yield from self._take(self._decoder.decode(piece))

    def end(self) -> Iterator[str]:
        """Give what a stream that ended without its last blank line still holds."""
        yield from self._take(self._decoder.decode(b"", final=True) + "\n\n")

    def _take(self, text: str) -> Iterator[str]:
        for character in text:
            after_cr, self._after_cr = self._after_cr, character == "\r"
            if character == "\n" and after_cr:
                continue
            if character in "\r\n":
                line, self._line = self._line, ""
                yield from self._end_of_line(line)
            else:
                self._line += character

    def _end_of_line(self, line: str) -> Iterator[str]:
        if line:
            field, _, value = line.partition(":")
            if field == "data":
                self._data.append(value.removeprefix(" "))
        elif self._data:
            data, self._data = "\n".join(self._data), []
            yield data
