"""Where on the board a job may put a file: confined, bounded, and away from what the agent needs.

A path of a job is absolute, or relative to a folder that its document names or to the root. It
never leaves that: a ".." is refused. A path of the agent's own is refused, too: its package
`sluice`, its board.py and main.py, its state, its configuration and its credentials. So is a file
that would hide a module of MicroPython that the agent imports. These change with an image, or by
someone at the board.
"""

import json
import os

from micropython import const

from sluice.errors import Refuse
from sluice.fields import field, hexadecimal
from sluice.files.staged import FOLDER, blocks, lacking
from sluice.loading import plug_in

_PATH_MAX = const(128)  # characters of a path, folder and all
_HEX = const(64)  # characters of a SHA-256
_TOGETHER = const(3072)  # bytes of all paths of a job and of the folders to them, in JSON
_FOLDER = const(0x4000)  # bit of a mode
_OURS = (  # names in the root or in /lib, up to their first dot; with a blank around each
    " board boot clock config failures journal lastgood main order proof settings sluice staged "
    "starts trees umqtt "
    "asyncio binascii builtins collections deflate errno esp32 gc hashlib io json machine "
    "micropython network os random select socket ssl struct sys time tls vfs w800 "
)
_TREES = ("app.a", "app.b", "agent.a", "agent.b", ".app", ".agent")  # in the root, as trees.py has


def confined(text, folder="/"):
    """The absolute path of a file that a job names. Raises Refuse.

    folder   what a relative path is relative to
    """
    if not text.startswith("/"):
        text = folder + "/" + text
    if text.endswith("/") or not all(32 <= c < 127 and c != 92 for c in text.encode()):
        raise Refuse("not the path of a file")
    path = _plain(text)
    names = path[1:].lower().split("/")
    if ".." in names:
        raise Refuse("path leaves its folder")
    if not names[0] or len(path) > _PATH_MAX:
        raise Refuse("path is empty or too long")
    if names[0] in _TREES:
        raise Refuse("path is the agent's own", path)
    if names[0] == "lib":
        names.pop(0)
    if not names or " %s " % names[0].split(".")[0] in _OURS:
        raise Refuse("path is the agent's own", path)
    return path


def checksum(entry, file):
    """Fill in `file.sha256`, in hex, from a document's `sha256` or `checksum`. Raises Refuse."""
    found = field(entry, "checksum", dict, default=0)
    if found:
        name = field(found, "hashAlgorithm", str, 1, 16)
        if name.lower().replace("-", "") != "sha256":
            raise Refuse("checksum algorithm", name)
        entry = {"sha256": field(field(found, "inline", dict), "value", str, _HEX, _HEX)}
    value = field(entry, "sha256", str, _HEX, _HEX, default="").lower()
    if not hexadecimal(value):
        raise Refuse("job document lacks or misstates", "checksum")
    file.sha256 = value or None


def judge(files, settings):
    """Raises Refuse where the board could not, or would not, take the files that have a path.

    settings  signers and the allow_… of config.json; `own`, the paths of certificates and keys
    """
    files = [file for file in files if file.path]
    paths = [file.path for file in files]
    if _length(paths) > _TOGETHER:
        raise Refuse("paths are too long together")
    kept = [_plain(path.lower()) for path in settings["own"]]
    for file in files:
        plug_in("sluice.trust.policy", "signature")(file, settings)
        path = file.path
        if path.lower() in kept:
            raise Refuse("path is the agent's own", path)
        for other in paths:
            if other.startswith(path + "/") or paths.count(path) > 1:
                raise Refuse("two files at", path)
        _look(path)
    short = lacking(sum(blocks(file.size or 0) for file in files), _staged())
    if short:
        raise Refuse(short)


def _length(paths):
    """Bytes that sluice.files.staging's record may need for these: it names each folder once."""
    folders = set()
    for path in paths:
        at = path.find("/", 1)
        while at > 0:
            folders.add(path[:at])
            at = path.find("/", at + 1)
    return sum([len(json.dumps(path)) + 2 for path in paths + list(folders)])


def _staged():
    """Blocks that files of a job which were brought already take; they are replaced or used."""
    found = 0
    try:
        for name, kind, _, size in os.ilistdir(FOLDER):
            if kind != _FOLDER and name.isdigit():
                found += blocks(size)
    except OSError:  # there is none
        pass
    return found


def _look(path):
    """Refuse what lies on another file system, in something that is no folder, or is one."""
    parts = path.split("/")[1:]
    for end in range(1, len(parts) + 1):
        at = "/" + "/".join(parts[:end])
        try:
            folder = os.stat(at)[0] & _FOLDER
        except OSError:
            return  # nothing there
        if end == len(parts) and folder:
            raise Refuse("path is a folder", path)
        if end < len(parts) and not folder:
            raise Refuse("no folder", at)
        if end == 1 and os.statvfs(at) != os.statvfs("/"):
            raise Refuse("path on another file system", path)


def _plain(path):
    """The absolute path, without what does not count in it."""
    return "/" + "/".join([part for part in path.split("/") if part not in ("", ".")])
