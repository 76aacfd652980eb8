"""Private names of a device module, changed before it is compiled to such as cost no RAM.

MicroPython interns every name of a module that it loads into the heap, and keeps it until the
reset; past 620 names, its table of them grows by 4,800 bytes in one piece. A private name means
nothing outside of its module. Nor does a public one that nobody else uses. So they become names
that MicroPython has built in and, when these are used up, `_a`, `_b`, … which all modules share.
What is frozen into an image of MicroPython itself keeps its names: there they lie in flash.

A class may inherit from one of another module. Both fill the same object, so the two modules get
no short name in common. A private member that both define is refused. In the source one would
override the other, but not once they are compiled.

Tracebacks show the new names, which mean nothing; `python -m sluice.compile FILE` tells which
is which.
"""

import ast
import io
import itertools
import os
import re
import socket
import ssl
import string
import sys
import time
import types
from collections.abc import Collection, Iterable, Iterator

from sluice.errors import SluiceError

# Built into MicroPython: of str, list, dict, set, deque and math. A board that lacks one has one
# name more to keep, and works all the same.
_SPARE = """
acos asin atan ceil cos degrees exp fabs floor fmod frexp isfinite isinf isnan ldexp modf radians
sin sqrt tan trunc copysign appendleft popleft difference discard intersection issubset issuperset
union symmetric_difference isdisjoint fromkeys popitem rsplit splitlines
lgamma expm1 log10 polar phase rect
"""
PRIVATE = sorted(_SPARE.split(), key=len)  # short ones first: .mpy spells them out
ARGUMENTS = (
    "pi",
    "erf",
    "cosh",
    "sinh",
    "tanh",
    "erfc",
    "log2",
    "gamma",
    "acosh",
    "asinh",
    "atanh",
)

FIELDS = ("id", "attr", "name", "arg", "asname")  # of a node, that may be names

# What the interpreter's own objects have: such a name may be theirs, where a module uses it.
_FOREIGN = (str, bytes, bytearray, list, dict, set, tuple, int, memoryview, io.BytesIO)
_FOREIGN += (socket.socket, ssl.SSLSocket, ssl.SSLContext, types.CoroutineType, os, sys, time)
FOREIGN = {name for owner in _FOREIGN for name in dir(owner)}


def shortened(
    source: str,
    named: Collection[str] | None = None,
    own: Collection[str] = (),
    inherited: Collection[str] = (),
) -> str:
    """The module with its private names made short, and without its docstrings.

    named      names of arguments that stay; None: all of them do
    own        public names that are as good as private: see `own_names`
    inherited  short names that are taken, because a class here inherits from where they are given
    raises     SluiceError when a text speaks of a private name among other words: whether it is to
               be replaced there nobody can tell
    """
    tree = ast.parse(source)
    short = names(tree, own, inherited)
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = 0  # a docstring; the compiler leaves it out
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) else None
        spoken = re.findall(r"\w+", text) if isinstance(text, str) and text not in short else ()
        if short.keys() & set(spoken):
            raise SluiceError(f"a private name within a text: {text!r}")
    tree = _Shortener(short).visit(tree)
    return ast.unparse(tree if named is None else _Arguments(named).visit(tree))


def named(sources: Iterable[str]) -> set[str]:
    """The names that calls in these modules give to arguments."""
    nodes = (node for source in sources for node in ast.walk(ast.parse(source)))
    return {node.arg for node in nodes if isinstance(node, ast.keyword) and node.arg}


def own_names(source: str, spoken: Collection[str]) -> set[str]:
    """Public names of functions, attributes and variables of a module that only it speaks of.

    spoken   the words of everything else that could: other modules, boards, documentation
    """
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    defined = {
        node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    defined |= {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
    defined |= {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    texts = {
        word
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for word in re.findall(r"\w+", node.value)
    }
    return {
        name
        for name in defined - texts - FOREIGN
        if name not in spoken and not name.startswith("_")
    }


def bases(tree: ast.Module) -> set[str]:
    """The modules that the module's classes inherit from, by what they are imported as."""
    imported = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                imported[alias.asname or alias.name] = alias.name
        elif isinstance(node, ast.ImportFrom):
            imported |= {alias.asname or alias.name: node.module for alias in node.names}
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    named = [ast.unparse(base) for node in classes for base in node.bases]
    found = {imported.get(name) or imported.get(name.rpartition(".")[0]) for name in named}
    return {module for module in found if module}


def members(tree: ast.Module) -> set[str]:
    """What the module's classes define, and what anything in it gives an object as attribute."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
        elif isinstance(node, ast.ClassDef):
            found |= set(_defined(node.body))
            found |= {
                target.id
                for line in node.body
                if isinstance(line, ast.Assign)
                for target in line.targets
                if isinstance(target, ast.Name)
            }
    return found


def names(
    tree: ast.Module, own: Collection[str] = (), inherited: Collection[str] = ()
) -> dict[str, str]:
    """{name of the module's own: its short one}, in the order of their coming.

    Constants stay as they are: the compiler puts their values in their places.
    """
    constants = set(_constants(tree))
    nodes = list(ast.walk(tree))
    defined = [
        name
        for name in dict.fromkeys(_defined(nodes))
        if (_private(name) or name in own) and name not in constants
    ]
    taken = {name for node in nodes for name in words(node)} - set(defined)
    short = (name for name in shorts() if name not in taken and name not in inherited)
    return dict(zip(defined, short, strict=False))


def _private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def shorts(built_in: Iterable[str] = PRIVATE) -> Iterator[str]:
    """What is built in, then _a … _z, then _aa …"""
    yield from built_in
    for size in itertools.count(1):
        for letters in itertools.product(string.ascii_lowercase, repeat=size):
            yield "_" + "".join(letters)


def _constants(tree: ast.Module) -> Iterator[str]:
    """Names of the module's `_NAME = const(…)`."""
    for node in tree.body:
        value = node.value if isinstance(node, ast.Assign) else None
        if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "const":
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _defined(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Every name and attribute that a module of these nodes gives a value."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg


def words(node: ast.AST) -> Iterator[str]:
    """The names in a node of the tree."""
    for field in FIELDS:
        word = getattr(node, field, None)
        if isinstance(word, str):
            yield word


class Renamer(ast.NodeTransformer):
    """Puts other names in."""

    def __init__(self, names: dict[str, str]):
        self._names = names

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Rename in the node, then in those below it."""
        for field in FIELDS:
            word = getattr(node, field, None)
            if isinstance(word, str):
                setattr(node, field, self._names.get(word, word))
        if isinstance(node, ast.Global | ast.Nonlocal):
            node.names = [self._names.get(name, name) for name in node.names]
        return super().generic_visit(node)


class _Shortener(Renamer):
    """Also where a text is one of the names, as for `getattr`."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """A text, or another constant."""
        if isinstance(node.value, str):
            node.value = self._names.get(node.value, node.value)
        return node


class _Arguments(ast.NodeTransformer):
    """Numbers the arguments of each function; those of one within another go on counting."""

    def __init__(self, named: Collection[str]):
        self._named = named
        self._numbers: dict[str, str] = {}  # of the functions around

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> ast.AST:
        node.args.defaults = [self.visit(value) for value in node.args.defaults]
        outer = self._numbers
        if not isinstance(node, ast.Lambda):
            node.name = outer.get(node.name, node.name)
        every = [*node.args.posonlyargs, *node.args.args]
        plain = every[: len(every) - len(node.args.defaults)]
        count = len(set(outer.values()))
        self._numbers = dict(outer)
        for argument in every:
            self._numbers.pop(argument.arg, None)
        for argument in plain:
            if argument.arg != "self" and argument.arg not in self._named:
                count += 1
                new = ARGUMENTS[count - 1] if count <= len(ARGUMENTS) else f"_{count}"
                self._numbers[argument.arg] = argument.arg = new
        inside = [node.body] if isinstance(node, ast.Lambda) else node.body
        done = [self.visit(part) for part in inside]
        node.body = done[0] if isinstance(node, ast.Lambda) else done
        self._numbers = outer
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _function  # noqa: N815

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """An argument, or a variable of a function within that has its name."""
        node.id = self._numbers.get(node.id, node.id)
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.AST:
        """As the variables that it speaks of."""
        node.names = [self._numbers.get(name, name) for name in node.names]
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        """Its variable may have the name of an argument."""
        node.name = self._numbers.get(node.name or "", node.name)
        return self.generic_visit(node)
