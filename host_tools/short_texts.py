"""Short texts of a device module, taken from bytes where it is compiled.

MicroPython keeps each text of up to ten characters that it loads as a name, until the reset. One
that is taken from bytes is memory like any other: it goes with its module.
"""

import ast
from collections.abc import Callable

INTERNED = 10  # MICROPY_ALLOC_PARSE_INTERN_STRING_LEN of MicroPython, characters


def nameless(text: str) -> bool:
    """A text that is nobody's name, because of a space or another sign in it."""
    return len(text) > 1 and not text.replace("_", "a").isalnum()


def any_text(text: str) -> bool:
    """All but the names that Python itself knows, and single characters, which are built in."""
    return len(text) > 1 and not text.startswith("__")


class ShortTexts(ast.NodeTransformer):
    """Takes the short texts that `choose` chooses from bytes."""

    def __init__(self, choose: Callable[[str], bool]):
        self._choose = choose

    def visit_Expr(self, node: ast.Expr) -> ast.AST:  # noqa: N802
        """A statement that is a text is a docstring."""
        return node if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:  # noqa: N802
        """Its parts are no texts of their own."""
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:  # noqa: N802
        """A text, or another constant."""
        text = node.value
        if isinstance(text, str) and len(text) <= INTERNED and self._choose(text):
            return ast.parse(f"{text.encode()!r}.decode()", mode="eval").body
        return node
