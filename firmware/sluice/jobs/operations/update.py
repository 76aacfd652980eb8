"""Updates the application or the agent by a bundle that is fetched by HTTP.

    {"operation": "update", "kind": "app", "url": "https://…", "size": 1042,
     "sig-sha256-ecdsa": "MEUCIQ…"}

`version` may say which one the bundle must be of. What follows is a trial, like that of an image:
what fails leads back to the tree that ran before.
"""

from micropython import const

from sluice.errors import Refuse
from sluice.fields import address, field, signed
from sluice.files.paths import checksum
from sluice.job import File

_BUNDLE_MAX = const(24 * 1024 * 1024)  # bytes
_VERSION_MAX = const(31)  # characters


def check(job):
    """Fill in `job.files`. Raises Refuse."""
    order = job.order
    kind = field(order, "kind", str, 1, 5)
    if kind not in ("app", "agent"):
        raise Refuse("not a kind of bundle:", kind)
    file = File(field(order, "size", int, 1, _BUNDLE_MAX), "http_range")
    file.kind, file.path = kind, "/." + kind
    file.url = address(order, "url")
    file.version = field(order, "version", str, 0, _VERSION_MAX, default="") or None
    checksum(order, file)
    signed(order, file)
    job.files = [file]
