"""The complaints of a command, read from its source: the texts of its SluiceErrors."""

import ast
import inspect
from collections.abc import Iterator
from types import ModuleType

DOTS = "…"  # in place of a value
ERRORS = ("SluiceError",)


def complaints(command: ModuleType) -> list[str]:
    """What a command says when it refuses, in the order of its source.

    A command's source is its module, and the modules that add options to its parser.
    """
    modules = [command, *filter(_adds_options, vars(command).values())]
    found = [
        text for module in dict.fromkeys(modules) for text in _texts(inspect.getsource(module))
    ]
    return list(dict.fromkeys(text for text in found if any(map(str.isalpha, text))))


def _adds_options(value: object) -> bool:
    """Whether a name of a command's module is a module of ours with options of its own."""
    return (
        isinstance(value, ModuleType)
        and value.__name__.startswith("sluice.")
        and hasattr(value, "arguments")
    )


def _texts(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ERRORS and node.args:
            yield " ".join(_plain(node.args[0]).split())


def _plain(node: ast.expr) -> str:
    """A text, with dots for what is put in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_plain, node.values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _plain(node.left) + _plain(node.right)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else DOTS
