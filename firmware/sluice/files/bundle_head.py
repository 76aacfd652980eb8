"""What a bundle says of itself, in its first member: is it for this board, and may it run here?

The board asks this of the first block, so that a bundle that it refuses costs no download. It asks
again of the whole bundle, once that is proved.
"""

import json
import sys

from micropython import const

from sluice.errors import Fail
from sluice.loading import plug_in

FIRST = b"sluice.json"
_AHEAD = const(15)  # bytes of a gzip's head, and of that of its first block, where that is stored
_STORED = b"\0\0\x04\xff\xfb"  # the latter: not the last one, 1,024 bytes
HEAD = const(1039)  # bytes of a bundle that say what it is
BLOCK = const(512)  # bytes: tar's unit; of these, too, the first member has at most one
_VERSION_MAX = const(31)  # characters, as of an image


def check(head, file, agent):
    """Judge the first bytes that come. Those that say nothing yet are no reason. Raises Fail.

    `sluice bundle` has the first two blocks stored as they are, so nothing is inflated for this.
    """
    if bytes(head[_AHEAD - 5 : _AHEAD]) == _STORED:
        judge(head[_AHEAD:HEAD], file, agent)


def judge(found, file, agent):
    """The description in the first two blocks of a bundle's content. Raises Fail.

    file     sluice.job.File, of which `kind` is what the job says
    """
    if bytes(found[: len(FIRST) + 1]) != FIRST + b"\0":
        raise Fail("not a bundle")
    try:
        said = json.loads(bytes(found[BLOCK : 2 * BLOCK]).rstrip(b"\0"))
        kind, version, made = said["kind"], said["version"], said.get("mpy", 0)
        needs = said.get("needs", {})
        least, interpreter = needs.get("agent"), needs.get("micropython")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Fail("the bundle does not say what it is")
    trees = agent.trees
    if kind != file.kind:
        raise Fail("the bundle is of another kind")
    if not _is_version(version, kind):
        raise Fail("the bundle has a bad version")
    if said.get("board", trees.board if kind == "app" else None) != trees.board:
        raise Fail("the bundle is for another board")
    if made not in (0, sys.implementation._mpy & 255):
        raise Fail("the bundle is for another MicroPython, of .mpy format", made)
    rank = plug_in("sluice.trust.policy", "rank")
    here = ".".join([str(number) for number in sys.implementation.version[:3]])
    _enough("agent", least, trees.version("agent"), rank)
    _enough("MicroPython", interpreter, here, rank)
    words = trees.version(kind) or None, agent.settings, file.version
    plug_in("sluice.trust.policy", "version")(version, *words)
    return said


def _enough(what, least, ours, rank):
    """Raises Fail where the bundle needs a newer one."""
    if least is None:
        return
    wanted = rank(least) if isinstance(least, str) else None
    if not wanted or wanted > rank(ours):
        raise Fail("the bundle needs another " + what, least)


def _is_version(text, kind):
    """Of an agent only numbers between dots: trees.py compares them."""
    if not isinstance(text, str) or not 0 < len(text) <= _VERSION_MAX:
        return False
    if kind == "agent":
        return all(part.isdigit() for part in text.split("."))
    return all(32 < c < 127 for c in text.encode())
