"""The document that AWS's CreateOTAUpdate makes: `{"afr_ota": {"protocols", "files", …}}`.

source   AWS FreeRTOS user guide, "OTA job document"; ota-for-aws-iot-embedded-sdk, ota_private.h
"""

from ota.errors import Refuse
from ota.fields import field
from ota.job import File

_IMAGE_MAX = 24 * 1024 * 1024  # bytes, the service's limit for a stream's file
_TEXT_MAX = 1024  # characters of a signature, a path or a name; RSA-4096 in base64 has 684
# fmt: off
_SIGNATURES = (  # key → algorithm; SHA-1 is not accepted
    ("sig-sha256-ecdsa", "ecdsa"),
    ("sig-sha256-rsa",   "rsa"),
)
# fmt: on


def read(document, job):
    """Fill in `job.kind` and `job.files`. Raises Refuse."""
    order = field(document, "afr_ota", dict)
    protocols = field(order, "protocols", list, 1, 8)
    entries = field(order, "files", list, 1, 1)
    if "MQTT" not in protocols:
        raise Refuse("no protocol of ours in", *protocols[:2])
    job.kind = "image"
    job.files = [_file(entry, order) for entry in entries]


def _file(entry, order):
    if not isinstance(entry, dict):
        raise Refuse("job document lacks or misstates", "files")
    if field(entry, "fileType", int, 0, 255, default=0):
        raise Refuse("file type", entry["fileType"])
    file = File(field(entry, "filesize", int, 1, _IMAGE_MAX), "mqtt_stream")
    file.stream = field(order, "streamname", str, 1, 128)
    file.id = field(entry, "fileid", int, 0, 255)
    file.signer = field(entry, "certfile", str, 0, _TEXT_MAX, default="") or None
    for key, algorithm in _SIGNATURES:
        if entry.get(key):
            file.signature = field(entry, key, str, 1, _TEXT_MAX)
            file.algorithm = algorithm
            break
    return file
