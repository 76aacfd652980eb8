"""Fetches one file: `{"operation": "download", "url": "https://…", "path": "/data/map.bin"}`.

AWS's managed template AWS-Download-File is this, with its `downloadUrl` and `filePath`. Beside the
two may stand `size`, `sha256` or `checksum`, and a signature, like for `install`. The template has
no room for a signature, so it needs a board with allow_unsigned.

source   AWS IoT developer guide, "Managed templates"
"""

from micropython import const

from sluice.fields import address, field, signed
from sluice.files.paths import checksum, confined
from sluice.job import File

_FILE_MAX = const(24 * 1024 * 1024)  # bytes
_TEXT_MAX = const(256)  # characters


def check(job):
    """Fill in `job.files`. Raises Refuse."""
    order = job.order
    file = File(field(order, "size", int, 1, _FILE_MAX, default=0) or None, "http_range")
    file.path = confined(field(order, "path", str, 1, _TEXT_MAX))
    file.url = address(order, "url")
    checksum(order, file)
    signed(order, file)
    job.files = [file]
