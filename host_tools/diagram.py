"""Draws firmware/sluice/agent/table.py, as firmware/DESIGN.md shows it."""

import ast
from pathlib import Path
from typing import Any

from sluice.compile import FIRMWARE
from sluice.errors import SluiceError

TABLE = FIRMWARE / "sluice/agent/table.py"
DESIGN = FIRMWARE / "DESIGN.md"
BEGIN = "<!-- made by python -m sluice.made --write -->"
END = "<!-- end -->"


def names(tree: ast.Module) -> dict[str, Any]:
    """What the table's module assigns: texts, and tuples and dicts made of them.

    It is read, not imported: the device's modules have names that the host has other uses for.
    """
    known: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            known |= {alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            target = node.targets[0]
            value = evaluated(node.value, known)
            if isinstance(target, ast.Tuple):
                texts = (name.id for name in target.elts)
                known |= dict(zip(texts, value, strict=True))
            else:
                known[target.id] = value
    return known


def evaluated(node: ast.expr, known: dict[str, Any]) -> Any:
    """A literal in which names stand for what is known."""
    if isinstance(node, ast.Name):
        return known[node.id]
    if isinstance(node, ast.Tuple):
        return tuple(evaluated(item, known) for item in node.elts)
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {evaluated(key, known): evaluated(value, known) for key, value in pairs}
    return ast.literal_eval(node)


def drawing(table: dict[str, Any]) -> str:
    """The table as text: what a start means, then from each state each event and what follows."""
    lines = ["journal     slot that runs   →  event", ""]
    lines += [f"{phase:11} {slot:16} →  {event}" for phase, slot, event in table["BOOT"]]
    lines += ["", ""]
    for state, row in table["TRANSITIONS"].items():
        lines += state_lines(state, row)
    errors = ", ".join(f"{kind} → {event}" for kind, event in table["ERRORS"])
    return "\n".join([*lines, "", f"errors: {errors}"])


def state_lines(state: str, row: dict[str, str | None]) -> list[str]:
    """One state's events, as branches; those that lead to the same state share one."""
    branches: dict[str | None, list[str]] = {}
    for event, following in row.items():
        branches.setdefault(following, []).append(event)
    lines = []
    for place, (following, events) in enumerate(branches.items()):
        last = place == len(branches) - 1
        mark = "───" if len(branches) == 1 else "┬──" if not place else "└──" if last else "├──"
        label = ", ".join(events)
        lines.append(f"{'' if place else state:12} {mark} {label:32} → {following or '(boot)'}")
    return lines


def block() -> str:
    """The part of DESIGN.md between its marks, the marks included."""
    table = names(ast.parse(TABLE.read_text(encoding="utf-8"), str(TABLE)))
    return f"{BEGIN}\n```\n{drawing(table)}\n```\n{END}"


def placed(text: str) -> str:
    """The document's text with the drawing up to date. SluiceError when it has no marks."""
    front, begin, rest = text.partition(BEGIN)
    _, end, back = rest.partition(END)
    if not begin or not end:
        raise SluiceError(f"{DESIGN.name} has no place for the drawing: {BEGIN} … {END}")
    return front + block() + back


def made() -> dict[Path, str]:
    """{DESIGN.md: its text with the drawing up to date}. SluiceError when it has no marks."""
    return {DESIGN: placed(DESIGN.read_text(encoding="utf-8"))}
