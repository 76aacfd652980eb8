"""Plots of the results, as plain SVG: lines over named places, on a logarithmic axis.

Each is made of results.json alone, so the same results give the same file.
"""

import math
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from bench import numbers
from bench.numbers import Number

FOLDER = Path(__file__).with_name("plots")
WIDTH, HEIGHT = 720, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 44, 48  # margins
COLOURS = {
    "Sluice, JSON": "#1f5fa8",
    "Sluice, CBOR": "#3a9a68",
    "Sluice, HTTP": "#8a4fa3",
    "naive, JSON": "#c0562b",
    "floor, JSON": "#7b7b7b",
    "plain copy": "#7b7b7b",
    "together": "#1f5fa8",
    "each": "#3a9a68",
    "round trip of 8 blocks": "#1f5fa8",
    "CPU of the cloud, each": "#3a9a68",
    "CreateJob": "#1f5fa8",
    "DescribeJob": "#3a9a68",
    "executions, all pages": "#8a4fa3",
    "an update near the end": "#c0562b",
    "an idle tick": "#7b7b7b",
}
BLOCKS = ("256", "1,024", "4,096", "16,384", "65,536", "98,304")
TRIPS = ("0 ms", "50 ms", "150 ms", "400 ms")
FLEETS = ("1,000", "5,000", "10,000")
CROWDS = ("1", "5", "10", "20", "50", "100", "200")

Series = dict[str, Sequence[float | None]]


def figures(found: Iterable[Number]) -> dict[str, str]:
    """{file name: SVG} of everything that is plotted."""
    found = list(found)

    def column(table: str, rows: Iterable[str], name: str) -> list[float | None]:
        return [numbers.value(found, table, row, name) for row in rows]

    json = [f"JSON {block}" for block in BLOCKS]
    cbor = [f"CBOR {block}" for block in BLOCKS]
    way = {
        "naive, JSON": column("way", json, "naive"),
        "Sluice, JSON": column("way", json, "Sluice"),
        "Sluice, CBOR": column("way", cbor, "Sluice"),
        "floor, JSON": column("way", json, "floor"),
    }
    title = "Instructions for a byte of firmware, transfer alone, by size of the block"
    made = {"way.svg": chart(title, BLOCKS, way)}
    for window, name in (("large", "large.svg"), ("5,744 B", "small.svg")):
        rows = [f"{trip}, {window}" for trip in TRIPS]
        link = {
            "plain copy": column("roundtrip", rows, "copy, base64"),
            "Sluice, JSON": column("roundtrip", rows, "JSON"),
            "Sluice, HTTP": column("roundtrip", rows, "HTTP"),
            "naive, JSON": column("roundtrip", rows, "naive"),
        }
        title = f"KiB/s of the image by round trip, TCP window: {window}"
        made[name] = chart(title, TRIPS, link)
    rows = [f"{count} at once" for count in CROWDS]
    crowd = {
        "together": column("crowd", rows, "all together"),
        "each": column("crowd", rows, "each"),
    }
    made["crowd.svg"] = chart("KiB/s by boards at once on the local cloud", CROWDS, crowd)
    cost = {
        "round trip of 8 blocks": column("crowd", rows, "round trip"),
        "CPU of the cloud, each": column("crowd", rows, "CPU a board"),
    }
    title = "Milliseconds by boards at once on the local cloud"
    made["crowd_cost.svg"] = chart(title, CROWDS, cost)
    rows = [f"{fleet} things" for fleet in FLEETS]
    names = ("executions, all pages", "CreateJob", "DescribeJob")
    names += ("an update near the end", "an idle tick")
    many = {name: column("many", rows, name) for name in names}
    made["many.svg"] = chart("Milliseconds of CPU by things of a job", FLEETS, many)
    return made


def chart(title: str, places: Sequence[str], series: Series) -> str:
    """One plot. What has no value is left out."""
    values = [value for line in series.values() for value in line if value]
    low, high = bounds(values)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        words(LEFT, 24, title, weight="bold"),
    ]
    for power in range(low, high + 1):
        y = height(10**power, low, high)
        parts.append(f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="#dddddd"/>')
        parts.append(words(LEFT - 8, y + 4, f"{10**power:,}", anchor="end"))
    for at, place in enumerate(places):
        parts.append(words(across(at, places), HEIGHT - BOTTOM + 22, place, anchor="middle"))
    for at, (name, line) in enumerate(series.items()):
        parts += drawn(name, line, places, at, (low, high))
    return "\n".join([*parts, "</svg>"]) + "\n"


def bounds(values: Sequence[float]) -> tuple[int, int]:
    """Powers of ten that all values lie between."""
    if not values:
        return 0, 1
    low = math.floor(math.log10(min(values)))
    return low, max(low + 1, math.ceil(math.log10(max(values))))


def drawn(
    name: str,
    line: Sequence[float | None],
    places: Sequence[str],
    at: int,
    powers: tuple[int, int],
) -> list[str]:
    """A line, its points, and its name in the legend."""
    colour, y = COLOURS[name], TOP + 14 + 22 * at
    points = [
        (across(place, places), height(value, *powers))
        for place, value in enumerate(line)
        if value
    ]
    path = " ".join(f"{x},{y_}" for x, y_ in points)
    legend = WIDTH - RIGHT + 16
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<circle cx="{x}" cy="{y_}" r="3.5" fill="{colour}"/>' for x, y_ in points),
        f'<circle cx="{legend}" cy="{y - 4}" r="4" fill="{colour}"/>',
        words(legend + 10, y, name),
    ]


def across(at: int, places: Sequence[str]) -> int:
    """Where a place is."""
    return LEFT + round((at + 0.5) * (WIDTH - LEFT - RIGHT) / len(places))


def height(value: float, low: int, high: int) -> int:
    """Where a value is."""
    share = (math.log10(value) - low) / (high - low)
    return HEIGHT - BOTTOM - round(share * (HEIGHT - TOP - BOTTOM))


def words(x: int, y: int, text: str, anchor: str = "start", weight: str = "normal") -> str:
    """A text."""
    where = f'x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}"'
    return f'<text {where} fill="#222222">{escape(text)}</text>'


def write(found: Iterable[Number]) -> None:
    """All plots of the results."""
    FOLDER.mkdir(exist_ok=True)
    for name, svg in figures(found).items():
        (FOLDER / name).write_text(svg)
