"""Public names that only the firmware's own modules speak of, made to cost no RAM.

MicroPython interns the names of all modules that it loads, and keeps them until the reset. Here
the firmware's modules agree on other names for what is theirs alone: a class, a function, an
attribute. In all of them alike it gets a name that MicroPython has built in.

A name stays when anybody else may use it:

- boards, examples, the model's shims, umqtt.simple, and what host_tools runs on a board
- documentation, within backquotes or a block of code, and the head of plugins.py
- texts: a name that is one, or that one becomes in lower case, may be asked for by it
- the interpreter's own objects, modules that are imported, and arguments that are given by name
- logs, which show the name of an error's class

The only texts that follow are the second words of `plug_in`. Which short name is whose is the same
until a source changes: all modules of a board are compiled of one checkout.
"""

import ast
import builtins
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from functools import cache

from sluice.shorten import FOREIGN, Renamer, words

# Built into MicroPython: of math, cmath, errno, uctypes, select, heapq, framebuf, random, str,
# set, socket, sys, time, _thread and the exceptions. A board that lacks one has one name more.
_SPARE = """
EACCES EADDRINUSE EAGAIN EALREADY EBADF ECONNABORTED ECONNREFUSED ECONNRESET EEXIST EHOSTUNREACH
EINPROGRESS EINVAL EIO EISDIR ENOBUFS ENODEV ENOENT ENOMEM ENOTCONN EOPNOTSUPP EPERM ETIMEDOUT
atan2 heappush heappop heapify
difference_update intersection_update symmetric_difference_update setdefault
isalpha isdigit islower isspace isupper center rpartition upper
hexlify unhexlify b2a_base64 a2b_base64 BIG_ENDIAN LITTLE_ENDIAN NATIVE FLOAT32 FLOAT64
INT8 INT16 INT32 INT64 UINT8 UINT16 UINT32 UINT64 SHORT USHORT LONGLONG ULONGLONG LONG ULONG UINT
INT BF_LEN BF_POS BFINT8 BFINT16 BFINT32 BFUINT8 BFUINT16 BFUINT32 ARRAY PTR
POLLIN POLLOUT POLLERR POLLHUP ipoll unregister allocate_lock get_ident start_new_thread stack_size
listen recvfrom sendto accept AF_INET6 SOCK_DGRAM SOCK_RAW
FrameBuffer FrameBuffer1 GS2_HMSB GS4_HMSB GS8 MONO_HLSB MONO_HMSB MONO_VLSB MVLSB RGB565
ellipse fill_rect hline vline pixel scroll blit poly fill text getrandbits randint uniform
randrange namedtuple OrderedDict getter setter deleter staticmethod classmethod property
EOFError LookupError ArithmeticError ZeroDivisionError UnicodeError StopAsyncIteration
NotImplementedError GeneratorExit ViperTypeError IndentationError SystemExit NameError
calcsize addressof bytearray_at bytes_at DeflateIO ZLIB GZIP AUTO crc32 threshold
sub match compile execfile issubclass locals globals divmod delattr
sorted reversed enumerate oct bin hex frozenset complex opt_level stack_use
mem_info mem_current mem_peak mem_total heap_lock heap_unlock schedule kbd_intr
tau inf mkfs mem8 mem16 mem32 uint ptr8 ptr16 ptr32 viper VfsFat VfsLfs1 FileIO BytesIO IOBase
PinBase Signal closure bytecode iterator dict_view bound_method isclose factorial errorcode
SOCK_STREAM SOL_SOCKET SO_BROADCAST SO_REUSEADDR OverflowError SyntaxError AssertionError
NotImplemented Ellipsis StreamReader StreamWriter TaskQueue IOQueue ThreadSafeFlag time_pulse_us
run_forever run_until_complete start_server open_connection wait_closed readexactly current_task
get_extra_info acquire locked errorcode VfsLfs2 TextIOWrapper TimeoutError StopIteration NoneType
SSLSocket SO_KEEPALIVE SO_LINGER SOCK_RAW byteorder maxsize version_info time_ns ticks_cpu
localtime seed gmtime mktime getcwd chdir choice ps1 ps2 md5 sha1 statvfs modify
CERT_NONE CERT_OPTIONAL CERT_REQUIRED
"""
SPARE = sorted(
    set(_SPARE.split()), key=lambda name: (len(name), name)
)  # short ones first: .mpy spells them out
NATIVE = {"ticks_ms", "ticks_us", "ticks_add", "ticks_diff", "sleep_ms", "sleep_us"}
NATIVE |= {
    "event",
    "chunked",
    "content",
    "HEAD",
    "request",
}  # built in for other reasons: they cost nothing as they are
NATIVE |= {"sock", "cb", "pid", "server", "port", "user", "pswd"}  # of umqtt.simple's client
_CODE = re.compile(r"```.*?```|`[^`]+`|^    .*?(?=  |$)", re.DOTALL | re.MULTILINE)
_MESSAGE = re.compile(r"`[^`(.=]* [^`(.=]*`")


@cache
def native() -> set[str]:
    """Of MicroPython's modules, whose objects ours may stand for; CPython has the others, too."""
    import asyncio
    import gc
    import hashlib
    import json
    import select
    import struct

    owners = (asyncio, asyncio.Task, asyncio.AbstractEventLoop, select, struct, hashlib, json, gc)
    return NATIVE.union(*map(dir, owners))


def agreed(sources: Collection[str], spoken: Collection[str]) -> dict[str, str]:
    """{public name: its short one}, the same for all these modules.

    spoken   words of whoever else may use a name
    """
    trees = [ast.parse(source) for source in sources]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    used = {word for tree in trees for word in _words(tree)}
    texts = set(_texts(trees))
    texts |= {text.lower() for text in texts if text.isupper()}
    kept = (
        texts
        | set(_foreign(trees))
        | _given(nodes)
        | _errors(nodes)
        | FOREIGN
        | native()
        | set(spoken)
    )
    own = {
        name
        for tree in trees
        for name in _defined(tree)
        if name not in kept and not name.startswith("_") and len(name) > 1
    }
    speakers = Counter(word for tree in trees for word in {*_words(tree)})
    wanted = sorted(own, key=lambda name: (-speakers[name], name))  # what most modules have first
    spare = (name for name in SPARE if name not in used | texts | set(spoken))
    return dict(zip(wanted, spare, strict=False))


def code_in(page: str) -> set[str]:
    """The words that a page of documentation shows as code: in backquotes, in a block, or at the
    front of an indented line. What is several words, and no call, is a message of the board."""
    parts = [part for part in _CODE.findall(page) if not _MESSAGE.fullmatch(part)]
    return {word for part in parts for word in re.findall(r"\w+", part)}


def said_in(source: str) -> set[str]:
    """What a file of Python may share with another: what it defines, attributes, what it imports,
    arguments that it gives by name, and the words of its texts."""
    tree = ast.parse(source)
    found = public_in(source) | set(re.findall(r"\w+", " ".join(_texts([tree]))))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.alias | ast.keyword):
            found |= set(words(node))
    return found


def public_in(source: str) -> set[str]:
    """The functions and classes that a file of Python defines for others, and the names of their
    arguments."""
    nodes = list(ast.walk(ast.parse(source)))
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    named = {node.name for node in nodes if isinstance(node, kinds)}
    named |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    return {name for name in named if not name.startswith("_")}


def attributes_in(source: str) -> set[str]:
    """The public attributes that a file of Python gives its objects."""
    return {name for name in _defined(ast.parse(source)) if not name.startswith("_")}


def _words(tree: ast.Module) -> Iterator[str]:
    """The names in a module."""
    return (word for node in ast.walk(tree) for word in words(node))


class Agreeing(Renamer):
    """Puts the agreed names in, also where `plug_in` asks for one."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """A call; its arguments follow."""
        name = _plugged(node)
        if name:
            name.value = self._names.get(name.value, name.value)
        return self.generic_visit(node)


def _plugged(node: ast.AST) -> ast.Constant | None:
    """The text that a call of `plug_in` has for a name."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "plug_in":
        name = node.args[1]
        if isinstance(name, ast.Constant):
            return name
    return None


def _defined(tree: ast.Module) -> Iterator[str]:
    """What the module gives a value that others may see."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
    for line in tree.body:
        if isinstance(line, ast.Assign):
            yield from (name.id for name in line.targets if isinstance(name, ast.Name))


def _texts(trees: Iterable[ast.Module]) -> Iterator[str]:
    """Every text of the modules, but docstrings and what `plug_in` is asked for."""
    for tree in trees:
        passed = {id(_plugged(node)) for node in ast.walk(tree)}
        passed |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and id(node) not in passed:
                yield text


def _foreign(trees: Iterable[ast.Module]) -> Iterator[str]:
    """What the modules import that is not of the firmware, and what they take of it."""
    for tree in trees:
        strangers = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield from alias.name.split(".")
                    if not alias.name.startswith("sluice"):
                        strangers.add(alias.asname or alias.name)
            elif isinstance(node, ast.ImportFrom):
                yield from (node.module or "").split(".")
                if not (node.module or "").startswith("sluice"):
                    yield from (alias.name for alias in node.names)
                else:  # a module of ours may be what is imported
                    yield from (alias.asname for alias in node.names if alias.asname)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                root = node.value
                while isinstance(root, ast.Attribute):
                    root = root.value
                if getattr(root, "id", "") in strangers:
                    yield node.attr


def _given(nodes: Iterable[ast.AST]) -> set[str]:
    """The names of arguments that calls give them by."""
    return {node.arg for node in nodes if isinstance(node, ast.keyword) and node.arg}


def _errors(nodes: Iterable[ast.AST]) -> set[str]:
    """The classes of errors, and of errors of errors."""
    every = vars(builtins).items()
    found = {
        name for name, kind in every if isinstance(kind, type) and issubclass(kind, Exception)
    }
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    while True:
        more = {
            node.name
            for node in classes
            if any(getattr(base, "id", "") in found for base in node.bases)
        }
        if more <= found:
            return found
        found |= more
