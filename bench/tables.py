"""Markdown tables, as README.md has them."""

from collections.abc import Iterable, Sequence


def show(title: str, heads: Sequence[str], rows: Iterable[Sequence[object]], note: str) -> None:
    """Print one table; whole numbers get their thousands marked."""
    texts = [heads, *([text(cell) for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in texts) for place in range(len(heads))]
    first, *rest = (line(row, widths) for row in texts)
    rule = "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|"
    rule = rule.replace("-:", "--", 1)  # the first column holds words
    print(f"### {title}\n", first, rule, *rest, f"\n{note}\n", sep="\n", flush=True)


def text(cell: object) -> str:
    """A cell; None is a dash."""
    if cell is None:
        return "–"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def line(row: Sequence[str], widths: Sequence[int]) -> str:
    """One row, its numbers to the right."""
    first = row[0].ljust(widths[0])
    others = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
    return "| " + " | ".join([first, *others]) + " |"
