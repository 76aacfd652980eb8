"""The document that AWS's CreateOTAUpdate makes: `{"afr_ota": {"protocols", "files", …}}`.

Where it offers both protocols, MQTT is taken; config.json's `protocol` may prefer HTTP.

source   AWS FreeRTOS user guide, "OTA job document"; ota-for-aws-iot-embedded-sdk, ota_private.h
"""

from ota.errors import Refuse
from ota.fields import address, field, signed
from ota.job import File

_IMAGE_MAX = 24 * 1024 * 1024  # bytes, the service's limit for a stream's file


def read(document, job):
    """Fill in `job.kind` and `job.files`. Raises Refuse."""
    order = field(document, "afr_ota", dict)
    protocols = field(order, "protocols", list, 1, 8)
    entries = field(order, "files", list, 1, 1)
    if "MQTT" not in protocols and "HTTP" not in protocols:
        raise Refuse("no protocol of ours in", *protocols[:2])
    job.kind = "image"
    job.files = [_file(entry, order, protocols) for entry in entries]


def _file(entry, order, protocols):
    if not isinstance(entry, dict):
        raise Refuse("job document lacks or misstates", "files")
    if field(entry, "fileType", int, 0, 255, default=0):
        raise Refuse("file type", entry["fileType"])
    file = File(field(entry, "filesize", int, 1, _IMAGE_MAX), "http_range")
    if "MQTT" not in protocols or "HTTP" in protocols and entry.get("update_data_url"):
        file.url = address(entry, "update_data_url")
    if "MQTT" in protocols:
        file.source = "mqtt_stream"
        file.stream = field(order, "streamname", str, 1, 128)
    file.id = field(entry, "fileid", int, 0, 255)
    signed(entry, file)
    return file
