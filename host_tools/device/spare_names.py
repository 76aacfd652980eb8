"""Names for the model's own functions, attributes and arguments that cost the device nothing.

MicroPython interns every name of a module it loads, but not those it has built in. linker.py
replaces the names that only the model knows by such ones; which name becomes which has no meaning.
When these are used up, `_a`, `_b`, … follow, which cost it one string each.
"""

import ast
import builtins
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from sluice.shorten import Renamer, shorts, words

# Built into MicroPython's unix port (seen in 1.25, 32 and 64 bits), and used nowhere in the model.
# A name that some other build lacks costs it one string more, and works all the same.
SPARE = """
acos acosh asin asinh atan atan2 atanh ceil copysign cos cosh degrees erf erfc exp expm1 fabs
floor fmod frexp gamma isfinite isinf isnan ldexp lgamma log10 log2 modf phase polar pow radians
rect sin sinh sqrt tan tanh trunc appendleft popleft heappush heappop heapify
difference difference_update discard intersection intersection_update isdisjoint issubset
issuperset symmetric_difference symmetric_difference_update union fromkeys popitem setdefault
isalpha isdigit islower isspace isupper lower upper center rpartition rsplit splitlines
real imag hexlify unhexlify b2a_base64 a2b_base64 BIG_ENDIAN LITTLE_ENDIAN NATIVE FLOAT32 FLOAT64
INT8 INT16 INT32 INT64 UINT8 UINT16 UINT32 UINT64 SHORT USHORT LONGLONG ULONGLONG
BF_LEN BF_POS BFINT8 BFINT16 BFUINT8 BFUINT16 ARRAY PTR INT UINT LONG ULONG POLLIN POLLOUT POLLERR
POLLHUP ipoll unregister AF_INET AF_INET6 SOCK_STREAM SOCK_DGRAM accept listen recvfrom sendto
setsockopt getaddrinfo allocate_lock acquire locked get_ident start_new_thread stack_size ticks_add
ticks_cpu ticks_diff ticks_us localtime cur_task ph_key maxsize byteorder
ArithmeticError AssertionError EOFError ImportError LookupError
NotImplementedError OverflowError UnicodeError ZeroDivisionError ViperTypeError StopAsyncIteration
"""

# Names of the interpreter, which the model's own may happen to equal: these stay.
_OWNERS = (str, bytes, bytearray, list, dict, set, tuple, int, memoryview, builtins, os, sys)
FOREIGN = {name for owner in _OWNERS for name in dir(owner) if not name.startswith("_")} | {
    "self",
    "cls",
    "args",
    "read",
    "readinto",
    "write",
    "flush",
    "digest",
}


def new_names(
    trees: dict[Path, ast.Module], folded: dict[Path, set[str]], public: set[Path], own: set[str]
) -> dict[str, str]:
    """{private name: a spare one}; a name is replaced alike wherever it occurs.

    trees    the files of the model
    folded   of each, the constants that will be numbers
    public   those of the files whose names programs may use
    own      names of the model's modules; what is taken of any other import stays
    """
    private: dict[str, None] = {}  # in order, so that the same sources give the same modules
    kept, used = set(FOREIGN), set()
    for path, tree in trees.items():
        private |= {name: None for name in _defined(tree) if name not in folded[path]}
        kept |= _of_the_interpreter(tree, own)
        kept |= set(_public(tree.body)) if path in public else set()
        used |= {word for node in ast.walk(tree) for word in words(node)}
    wanted = [name for name in private if name not in kept and not name.startswith("__")]
    spare = (name for name in shorts(SPARE.split()) if name not in used)
    return dict(zip(wanted, spare, strict=False))


def _defined(tree: ast.Module) -> Iterator[str]:
    """Every name that the device would keep: all but local variables."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        if isinstance(node, (ast.Module, ast.ClassDef)):
            yield from (name for line in node.body for name in _assigned(line))


def _assigned(line: ast.stmt) -> Iterator[str]:
    """The names that a statement of a module or class gives a value."""
    if isinstance(line, ast.Assign):
        for node in ast.walk(line.targets[0]):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id
    elif isinstance(line, (ast.Import, ast.ImportFrom)):
        yield from (name.asname for name in line.names if name.asname)


def _of_the_interpreter(tree: ast.Module, own: set[str]) -> set[str]:
    """The attributes that are taken of imported modules which are not the model's."""
    imported = {
        name.asname or name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for name in node.names
        if name.name not in own
    }
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in imported
    }


def _public(body: list[ast.stmt]) -> Iterator[str]:
    """What a program may say of a module or class: its names, and arguments passed by keyword."""
    for line in body:
        if isinstance(line, ast.ClassDef) and not line.name.startswith("_"):
            yield line.name
            yield from _public(line.body)
        elif isinstance(line, ast.FunctionDef) and _is_public(line.name):
            yield line.name
            yield from (arg.arg for arg in line.args.args if _is_public(arg.arg))
        yield from (name for name in _assigned(line) if _is_public(name))


def _is_public(name: str) -> bool:
    return not name.startswith("_") or name.startswith("__")


class Rename(Renamer):
    """Makes of positional-only arguments, which MicroPython lacks, usual ones, too."""

    def visit_arguments(self, node: ast.arguments) -> ast.AST:
        node.args, node.posonlyargs = node.posonlyargs + node.args, []
        return self.generic_visit(node)
