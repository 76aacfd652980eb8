"""What is shown, in pieces with a number each, so that a viewer gets those that are new to it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Piece:
    """A part of the page: an event's name, what it is of, and its content."""

    event: str
    name: str
    shape: Any


@dataclass
class Viewer:
    """Who looks: at the whole, and at one thing or job closely."""

    focus: tuple[str, str] | None = None  # "thing" or "job", and its name
    seen: int = 0  # number of the newest piece it has


@dataclass
class _Kept:
    number: int
    text: str


@dataclass
class Picture:
    """The pieces as they were last."""

    _number: int = 0
    _kept: dict[tuple[str, str], _Kept] = field(default_factory=dict)

    def paint(self, pieces: Iterable[Piece]) -> bool:
        """Take these pieces for all that there is; whether any is new."""
        before, fresh = self._number, {}
        for piece in pieces:
            key = piece.event, piece.name
            text = json.dumps(piece.shape, separators=(",", ":"))
            kept = self._kept.get(key)
            if kept is None or kept.text != text:
                self._number += 1
                kept = _Kept(self._number, text)
            fresh[key] = kept
        self._kept = fresh
        return self._number != before

    def news(self, viewer: Viewer) -> str:
        """What the viewer has not got, as server-sent events; "" when there is nothing."""
        parts = []
        for (event, name), kept in self._kept.items():
            close = event in ("thing-details", "job-details")
            wanted = not close or (event.removesuffix("-details"), name) == viewer.focus
            if kept.number > viewer.seen and wanted:
                # JSON has no line breaks, so one line of data is enough
                parts.append(f"event: {event}\ndata: {kept.text}\n\n")
        viewer.seen = self._number
        return "".join(parts)
