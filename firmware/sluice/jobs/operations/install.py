"""Puts files on the board: the document 003's, and that of AWS's jobs agent.

    {"operation": "install", "packageName": "blink", "workingDirectory": "/",
     "files": [{"fileName": "blink.py", "fileSource": {"url": "https://…"},
                "checksum": {"inline": {"value": "9f86d081…"}, "hashAlgorithm": "SHA256"},
                "sig-sha256-ecdsa": "MEUCIQ…"}]}

`files` may be one object, and `url` stand for `fileSource`. All of the files are put in place or
none. A checksum tells damage, not who made a file: for that there is the signature, without which
a file is refused unless config.json has allow_unsigned. With `autoStart` the board restarts,
because its application, app.py, starts that way. It may import the other files. If it does not
start with them, the board takes the files back. `packageName` is but a name.

source   document 003; aws-iot-device-sdk-js, examples/jobs-agent.js
"""

from micropython import const

from sluice.errors import Refuse
from sluice.fields import address, field, signed
from sluice.files.paths import checksum, confined
from sluice.job import File

_FILES_MAX = const(10)
_FILE_MAX = const(24 * 1024 * 1024)  # bytes
_TEXT_MAX = const(256)  # characters


def check(job):
    """Fill in `job.files`. Raises Refuse."""
    order = job.order
    field(order, "packageName", str, 1, _TEXT_MAX)
    folder = field(order, "workingDirectory", str, 0, _TEXT_MAX, default="/")
    entries = order.get("files")
    if isinstance(entries, dict):
        entries = order["files"] = [entries]
    field(order, "files", list, 1, _FILES_MAX)
    if order.get("autoStart") not in (None, True, False, "true", "false", ""):
        raise Refuse("job document lacks or misstates", "autoStart")
    job.files = [_file(entry, "/" + folder) for entry in entries]
    job.restart = order.get("autoStart") in (True, "true")


def _file(entry, folder):
    if not isinstance(entry, dict):
        raise Refuse("job document lacks or misstates", "files")
    file = File(field(entry, "size", int, 1, _FILE_MAX, default=0) or None, "http_range")
    file.path = confined(field(entry, "fileName", str, 1, _TEXT_MAX), folder)
    where = entry if entry.get("url") else field(entry, "fileSource", dict)
    file.url = address(where, "url")
    checksum(entry, file)
    signed(entry, file)
    return file
