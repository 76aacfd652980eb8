"""nRF's document: `{"operation": "app_fw_update", "fwversion", "size", "location": {…}}`.

The location is `{"protocol", "host", "path"}`, of which the first may be left out and is "https:"
then, or `{"url"}`. The document itself knows no signature; ours may stand beside it, under the
keys of `afr_ota` or as "signature" (ECDSA). `fwversion` only tells: the image says itself what it
is. `size` is required, although nRF's own agent ignores it. The board judges the job and the
answer of the file server by it, before it erases a sector.

source   document 001; nRF Connect SDK, "AWS FOTA"
"""

from sluice.errors import Refuse
from sluice.fields import address, field, signed
from sluice.job import File

_IMAGE_MAX = 24 * 1024 * 1024  # bytes; a slot is smaller
_UPDATE = "app_fw_update"


def read(document, job):
    """Fill in `job.kind`, `job.rollback` and `job.files`. Raises Refuse."""
    name = field(document, "operation", str, 1, 64, default=_UPDATE)
    if name != _UPDATE:
        raise Refuse("unknown operation", name)
    file = File(field(document, "size", int, 1, _IMAGE_MAX), "http_range")
    file.url = _url(field(document, "location", dict))
    signed(document, file)
    job.kind = "image"
    job.rollback = bool(document.get("rollback"))
    job.files = [file]


def _url(location):
    """The address; of its parts, where it is not given whole."""
    if location.get("url") is None:
        scheme = field(location, "protocol", str, 4, 8, default="https:").rstrip(":/")
        path = field(location, "path", str, 1, 2048).lstrip("/")
        location["url"] = "%s://%s/%s" % (scheme, field(location, "host", str, 1, 255), path)
    return address(location, "url")
