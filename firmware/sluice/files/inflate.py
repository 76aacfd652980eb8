"""Bundles: code that a job brings, inflated from /staged into the trees that do not run.

A bundle is a gzip of a tar: docs/bundles.md. It is fetched, kept and proved as any file of a job.
Then its members are written one after the other into a tree, behind them an index of their places.
By then the old content of that tree is erased, and the record says so: see
sluice.slots.tree_record.

memory   the agent's sector buffer, 2.5 KB to inflate with, 12 B a member
"""

import hashlib
import os
from binascii import crc32, hexlify
from struct import pack, unpack

from micropython import const

from sluice.errors import Fail, Refuse
from sluice.files.staged import blocks, lacking, name
from sluice.loading import Scope, exists, plug_in
from sluice.log import Log

_BLOCK = const(512)  # bytes: tar's unit
_MEMBERS = const(255)
_INDEX = const(6120)  # bytes of an index, folders and all, about
_ENTRY = const(12)  # bytes of one in the index: CRC of the path, offset, size
_FOLDER = const(0xFFFFFFFF)  # the offset of one
_MAGIC = const(0x31544C53)
_WINDOW = const(10)  # bits: 1 KiB
_STARTS = {"app": ("app.mpy", "app.py"), "agent": ("sluice/run.mpy", "sluice/run.py")}
_APART = ("lib", "sluice", "operations")  # folders that an application's bundle may not have
_AGENT = ("sluice", "umqtt")  # those of an agent's
_BOARD = (b"board.mpy", b"board.py")  # what else that may have
_PLAIN = const(0x30)  # tar's type of a file

log = Log("bundle")


async def unpack_all(agent):
    """All bundles of the job at hand, which are proved; they are what is to be tried next."""
    found = {}
    for number, file in enumerate([file for file in agent.job.files if file.path]):
        if file.kind:
            found[file.kind] = await _unpack(agent, file, name(number))
    agent.work.trees = found


async def _unpack(agent, file, path):
    """One bundle into its tree; the entry of that for the record. Raises Fail."""
    try:
        from deflate import GZIP, DeflateIO
    except ImportError:
        raise Fail("this port cannot inflate bundles")
    kind = file.kind
    try:
        with open(path, "rb") as packed:
            size = packed.seek(-4, 2) + 4
            inflated = unpack("<I", packed.read(4))[0]
            packed.seek(0)
            work = _Unpacking(DeflateIO(packed, GZIP, _WINDOW), inflated, agent)
            said = work.begin(file)  # what is refused by its head costs no tree
            letter = plug_in("sluice.slots.tree_record", "free")(agent.trees, kind)
            tree = "/%s.%s" % (kind, letter)
            room = _room(tree, inflated)  # what does not fit costs none, either
            plug_in("sluice.slots.tree_record", "empty")(agent.trees, kind)
            if room:
                os.remove(tree)
            with open(tree, "wb") as to:
                await work.run(kind, to)
            if packed.tell() != size:
                raise Fail("bytes after the bundle's end")
    except OSError as error:
        raise Fail("file system", *error.args[:1])
    digest = work.digest.digest()
    if await _read_back(tree, agent) != digest:
        raise Fail("the tree reads back differently")
    log.i("unpacked", tree, said["version"])
    return [letter, hexlify(digest).decode(), said["version"], said.get("mpy", 0)]


def _room(tree, size):
    """Blocks that the old content takes, which goes before the new one comes; 0: there is none.
    Raises Fail when what comes will not fit all the same."""
    room = blocks(os.stat(tree)[6]) if exists(tree) else 0
    short = lacking(blocks(size), room)
    if short:
        raise Fail(short)
    return room


async def _read_back(path, agent):
    """The digest of what flash holds."""
    digest, view = hashlib.sha256(), memoryview(agent.buffer)
    with open(path, "rb") as file:
        while True:
            size = file.readinto(view)
            if not size:
                return digest.digest()
            digest.update(view[:size])
            await agent.pause()


def _allowed(path, kind):
    """Whether a bundle of that kind may bring a file there."""
    parts = path.split(b"/")
    if b"" in parts or b"." in parts or not all(32 <= c < 127 for c in path):
        return False
    text, first = "/" + path.decode(), parts[0].decode().lower() if parts[1:] else ""
    if kind == "agent":
        return b".." not in parts and (first in _AGENT or path in _BOARD)
    confined = plug_in("sluice.files.paths", "confined")
    try:
        return first not in _APART and confined(text) == text
    except Refuse:
        return False


class _Unpacking:
    """From a tar that inflates to a tree.

    inflated  bytes of the tar, as the gzip says; more are refused while they come
    digest    SHA-256 of the tree, so far
    """

    def __init__(self, source, inflated, agent):
        self._source = source
        self._to = None
        self._left = inflated
        self._agent = agent
        self._view = memoryview(agent.buffer)
        self._index = bytearray()
        self._members = _MEMBERS  # that there may still be
        self._at = 0  # bytes of the tree
        self.digest = hashlib.sha256()

    def begin(self, file):
        """Have its first member in the buffer; returns what that says. Raises Fail."""
        self._take(2 * _BLOCK)
        with Scope():  # what inflates takes the rest
            said = plug_in("sluice.files.bundle_head", "judge")(self._view, file, self._agent)
        if self._size() > _BLOCK:
            raise Fail("the bundle does not say what it is")
        return said

    async def run(self, kind, to):
        """All members, into that file. Raises Fail, or the OSError of a medium that takes no
        more."""
        self._to, size = to, self._size()
        self._enter(b"sluice.json", size)
        self._put(self._view[_BLOCK : _BLOCK + size])
        while await self._member(kind):
            pass
        if not any(self._find(path.encode()) for path in _STARTS[kind]):
            raise Fail("the bundle lacks", _STARTS[kind][0])
        at = self._at
        self._put(self._index)
        self._put(pack("<II", at, _MAGIC))

    async def _member(self, kind):
        """The next one; False when there is none."""
        view = self._view
        self._take(_BLOCK)
        if not any(view[:_BLOCK]):
            self._take(_BLOCK)
            if any(view[:_BLOCK]) or self._left or self._read(view[:1]):
                raise Fail("the bundle goes on after its end")
            return False
        path, size = self._path(kind), self._size()
        self._enter(path, size)
        while size:
            part = min(size, 4096)
            self._take(-(-part // _BLOCK) * _BLOCK)
            self._put(view[:part])
            size -= part
            await self._agent.pause()
        return True

    def _path(self, kind):
        """Of the member whose header is at hand. Raises Fail where it may not be there."""
        view = self._view
        path = bytes(view[:100]).split(b"\0")[0]
        if bytes(view[257:262]) != b"ustar" or view[156] != _PLAIN or view[345]:
            raise Fail("the bundle has a member that is not a file", path)
        if not _allowed(path, kind):
            raise Fail("the bundle may not bring", path)
        return path

    def _size(self):
        """Of the member whose header is at hand."""
        try:
            size = int(bytes(self._view[124:136]).rstrip(b"\0 "), 8)
        except ValueError:
            size = -1
        if not 0 <= size <= self._left:
            raise Fail("the bundle misstates a size")
        return size

    def _enter(self, path, size):
        """Into the index, and the folders that it lies in, if they are not there yet."""
        self._members -= 1
        if self._members < 0 or len(self._index) > _INDEX or self._find(path):
            raise Fail("double files, or too many, in the bundle:", path)
        at = path.find(b"/")
        while at > 0:
            found = self._find(path[:at])
            if not found:
                self._index.extend(pack("<III", crc32(path[:at]), _FOLDER, 0))
            elif found[4:8] != b"\xff\xff\xff\xff":
                raise Fail("double files, or too many, in the bundle:", path)
            at = path.find(b"/", at + 1)
        self._index.extend(pack("<III", crc32(path), self._at, size))

    def _find(self, path):
        """The entry that the index has of it; None: it has none."""
        key, at = pack("<I", crc32(path)), self._index.find
        found = at(key)
        while found % _ENTRY and found > 0:
            found = at(key, found + 1)
        return self._index[found : found + _ENTRY] if found >= 0 else None

    def _take(self, size):
        """Have the next bytes of the tar in the buffer. Raises Fail where they do not come."""
        self._left -= size
        if self._left < 0:
            raise Fail("the bundle inflates to more than it says")
        view = self._view[:size]
        while view:
            got = self._read(view)
            if not got:
                raise Fail("the bundle ends early")
            view = view[got:]

    def _read(self, view):
        try:
            return self._source.readinto(view)
        except (OSError, EOFError):  # a wrong CRC, a larger window, no deflate at all
            raise Fail("the bundle is damaged")

    def _put(self, data):
        self._to.write(data)
        self.digest.update(data)
        self._at += len(data)
