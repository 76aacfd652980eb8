"""Draws how an update travels, as README.md shows it: docs/pictures/, for light and for dark."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from sluice.compile import ROOT

FOLDER = ROOT / "docs/pictures"
WIDTH, HEIGHT = 880, 330
TITLE = "An update travels from your computer by way of the cloud to the board, which tries it"


@dataclass(frozen=True)
class Palette:
    """The colours of one picture."""

    ground: str
    panel: str
    line: str
    text: str
    quiet: str
    runs: str
    new: str
    good: str
    bad: str


PALETTES = {
    "update.svg": Palette(
        ground="#ffffff",
        panel="#f6f8fa",
        line="#8c959f",
        text="#1f2328",
        quiet="#59636e",
        runs="#ddf4ff",
        new="#fff8c5",
        good="#1a7f37",
        bad="#b3261e",
    ),
    "update-dark.svg": Palette(
        ground="#0d1117",
        panel="#161b22",
        line="#6e7681",
        text="#e6edf3",
        quiet="#9da7b3",
        runs="#0c2d4a",
        new="#3d2e00",
        good="#3fb950",
        bad="#f78166",
    ),
}


def pictures() -> dict[str, str]:
    """{file name: SVG}."""
    return {name: drawing(palette) for name, palette in PALETTES.items()}


def made() -> dict[Path, str]:
    """{file: SVG}."""
    return {FOLDER / name: svg for name, svg in pictures().items()}


def drawing(colours: Palette) -> str:
    """One picture."""
    pen = Pen(colours)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        ' font-family="Helvetica, Arial, sans-serif" font-size="14">',
        f"<title>{TITLE}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="10" fill="{colours.ground}"/>',
        *computer(pen),
        *cloud(pen),
        *board(pen),
        *between(pen),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def computer(pen: "Pen") -> Iterator[str]:
    """The left panel."""
    yield from pen.panel(20, 190, "your computer")
    yield pen.box(40, 80, 150, 40, pen.colours.new, "app.py 1.1.0")
    yield pen.down(115, 120, 152)
    yield pen.box(40, 154, 150, 40, pen.colours.ground, "sluice deploy")
    yield pen.words(115, 222, "makes a bundle,", pen.colours.quiet)
    yield pen.words(115, 242, "signs it, uploads it,", pen.colours.quiet)
    yield pen.words(115, 262, "makes the job", pen.colours.quiet)


def cloud(pen: "Pen") -> Iterator[str]:
    """The panel in the middle."""
    yield from pen.panel(250, 190, "the cloud")
    yield pen.box(270, 80, 150, 40, pen.colours.ground, "job")
    yield pen.box(270, 154, 150, 40, pen.colours.ground, "file, in blocks")
    yield pen.box(270, 228, 150, 40, pen.colours.ground, "what happened")
    yield pen.words(345, 318, "AWS, or sluice cloud", pen.colours.quiet)


def between(pen: "Pen") -> Iterator[str]:
    """What goes from panel to panel."""
    yield pen.across(190, 268, 174)
    yield pen.across(420, 498, 100)
    yield pen.across(420, 498, 174)
    yield pen.across(498, 422, 248)


def board(pen: "Pen") -> Iterator[str]:
    """The right panel."""
    colours = pen.colours
    yield from pen.panel(480, 380, "the board")
    yield pen.box(500, 80, 160, 40, colours.runs, "tree a: 1.0.0 runs")
    yield pen.box(500, 154, 160, 40, colours.new, "tree b: 1.1.0")
    yield pen.across(660, 698, 174)
    yield pen.box(700, 154, 140, 40, colours.ground, "signature right?")
    yield pen.down(770, 194, 226)
    yield pen.box(700, 228, 140, 40, colours.ground, "tries it: healthy?")
    yield pen.across(700, 662, 238, colours.good)
    yield pen.words(655, 243, "yes: 1.1.0 stays", colours.good, "end")
    yield pen.across(700, 662, 258, colours.bad)
    yield pen.words(655, 263, "no: 1.0.0 again", colours.bad, "end")
    yield pen.words(670, 318, "an ESP32, or sluice device", colours.quiet)


@dataclass(frozen=True)
class Pen:
    """Draws parts of a picture in its colours."""

    colours: Palette

    def panel(self, x: int, width: int, title: str) -> Iterator[str]:
        """A part of the world, with its name."""
        yield (
            f'<rect x="{x}" y="24" width="{width}" height="270" rx="10"'
            f' fill="{self.colours.panel}" stroke="{self.colours.line}"/>'
        )
        yield self.words(x + width // 2, 54, title, self.colours.text, weight="bold")

    def box(self, x: int, y: int, width: int, height: int, fill: str, text: str) -> str:
        """A thing with a text in it."""
        place = f'x="{x}" y="{y}" width="{width}" height="{height}" rx="6"'
        shape = f'<rect {place} fill="{fill}" stroke="{self.colours.line}"/>'
        return shape + self.words(x + width // 2, y + height // 2 + 5, text, self.colours.text)

    def words(
        self, x: int, y: int, text: str, fill: str, anchor: str = "middle", weight: str = "normal"
    ) -> str:
        """A text."""
        where = f'x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}"'
        return f'<text {where} fill="{fill}">{escape(text)}</text>'

    def across(self, x: int, to: int, y: int, stroke: str = "") -> str:
        """An arrow along a row, to the right or to the left."""
        back = 8 if to > x else -8
        return self._arrow(
            f"M{x} {y}H{to}M{to - back} {y - 5}L{to} {y}L{to - back} {y + 5}", stroke
        )

    def down(self, x: int, y: int, to: int) -> str:
        """An arrow downwards."""
        return self._arrow(f"M{x} {y}V{to}M{x - 5} {to - 8}L{x} {to}L{x + 5} {to - 8}", "")

    def _arrow(self, path: str, stroke: str) -> str:
        colour = stroke or self.colours.line
        return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
