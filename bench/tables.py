"""Markdown tables of numbers, as the terminal and README.md have them."""

from collections.abc import Iterable, Sequence

from bench.numbers import Number, Table


def rendered(table: Table, numbers: Iterable[Number]) -> str:
    """One table, with its note below; empty when none of the numbers is its own."""
    cells: dict[str, dict[str, Number]] = {}
    for number in numbers:
        if number.table == table.name:
            cells.setdefault(number.row, {})[number.column] = number
    if not cells:
        return ""
    columns = list(dict.fromkeys(column for row in cells.values() for column in row))
    rows = [[row, *(text(found.get(c)) for c in columns)] for row, found in cells.items()]
    title = f"### {table.title}"
    return "\n\n".join([title, markdown([table.head, *columns], rows), noted(table, cells)])


def noted(table: Table, cells: dict[str, dict[str, Number]]) -> str:
    """The note of a table, and those of its numbers, each said once."""
    notes = [number.note for row in cells.values() for number in row.values() if number.note]
    found = [table.note, *(f"{note}." for note in dict.fromkeys(notes))]
    return "\n".join([*found, f"`.venv/bin/python -m bench {table.name}`"])


def text(number: Number | None) -> str:
    """A cell: whole numbers get their thousands marked, what is not known is a dash."""
    if number is None or number.value is None:
        return "–"
    value = number.value
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{places(value)}f}"


def places(value: float) -> int:
    """Decimals that are worth a reader's while."""
    return 0 if value >= 100 else 1 if value >= 10 else 2


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose numbers stand to the right."""
    texts = [heads, *rows]
    widths = [max(len(row[place]) for row in texts) for place in range(len(heads))]
    first, *rest = (line(row, widths) for row in texts)
    rule = "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|"
    rule = rule.replace("-:", "--", 1)  # the first column holds words
    return "\n".join([first, rule, *rest])


def line(row: Sequence[str], widths: Sequence[int]) -> str:
    """One row, its numbers to the right."""
    first = row[0].ljust(widths[0])
    others = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
    return "| " + " | ".join([first, *others]) + " |"
