"""The document that AWS's CreateOTAUpdate makes: `{"afr_ota": {"protocols", "files", …}}`.

A file of type 0 is the app image, at most one. Types 200 and 201 are bundles, of an application
and of an agent. Types 202 and 203 are smaller forms of the image: a delta, for boards that run the
image which its path names, and the image compressed. Others go to `filepath` on the file system. A
job that only brings files must not have the image among them. Stored in a file it would not run,
and the job would have SUCCEEDED. Where both protocols are offered, MQTT is taken; config.json's
`protocol` may prefer HTTP.

source   AWS FreeRTOS user guide, "OTA job document"; ota-for-aws-iot-embedded-sdk, ota_private.h
"""

from micropython import const

from sluice.errors import Refuse
from sluice.fields import address, field, hexadecimal, signed
from sluice.job import File
from sluice.loading import plug_in

_IMAGE_MAX = 24 * 1024 * 1024  # bytes, the service's limit for a stream's file
_FILES_MAX = 10
_PATH_MAX = 256  # characters
_BUNDLES = {200: "app", 201: "agent"}
_BUNDLE = "sluice.files.bundle"
_DELTA = const(202)
_COMPRESSED = const(203)
_BASE = "/ota/"  # path of a delta: SHA-256 of what must run, in hex, a dot, its size in bytes


def read(document, job):
    """Fill in `job.kind`, `job.rollback` and `job.files`. Raises Refuse."""
    order = field(document, "afr_ota", dict)
    protocols = field(order, "protocols", list, 1, 8)
    entries = field(order, "files", list, 1, _FILES_MAX)
    if "MQTT" not in protocols and "HTTP" not in protocols:
        raise Refuse("neither mqtt nor http is offered")
    files = [_file(entry, order, protocols) for entry in entries]
    images = [file for file in files if not file.path]
    if len(images) > 1:
        raise Refuse("more than one image")
    smaller = [file for file in files if file.path == _BASE]
    if smaller and not images:
        raise Refuse("a smaller image without the full one")
    files = [file for file in files if file.path != _BASE]
    job.kind = "image"
    job.rollback = bool(images and document.get("rollback"))
    if smaller:
        images[0].smaller = smaller
    plain = [file for file in files if file.path and not file.kind]
    bundles = [file for file in files if file.kind]
    if len(bundles) > len({file.kind for file in bundles}):
        raise Refuse("two bundles of one kind")
    job.files = images + plain + bundles
    if not images:  # nothing to boot
        if plain and bundles:
            raise Refuse("files and bundles without an image")
        job.kind = "operation"
        job.path = _BUNDLE if bundles else "sluice.files.place"
        for file in plain:
            file.data = True


def _file(entry, order, protocols):
    if not isinstance(entry, dict):
        raise Refuse("job document lacks or misstates", "files")
    file = File(field(entry, "filesize", int, 1, _IMAGE_MAX), "http_range")
    kind = field(entry, "fileType", int, 0, 255, default=0)
    file.kind = _BUNDLES.get(kind)
    if file.kind:
        file.path = "/." + file.kind
    elif kind in (_DELTA, _COMPRESSED):
        file.path = _BASE
        if kind == _DELTA:
            file.base = _base(field(entry, "filepath", str, 1, _PATH_MAX))
    elif kind:
        path = field(entry, "filepath", str, 1, _PATH_MAX)
        file.path = plug_in("sluice.files.paths", "confined")(path)
    if "MQTT" not in protocols or "HTTP" in protocols and entry.get("update_data_url"):
        file.url = address(entry, "update_data_url")
    if "MQTT" in protocols:
        file.source = "mqtt_stream"
        file.stream = field(order, "streamname", str, 1, 128)
    file.id = field(entry, "fileid", int, 0, 255)
    if file.path != _BASE:  # it is the image that is signed
        signed(entry, file)
    return file


def _base(path):
    """(size, SHA-256 in hex) of the image that the path of a delta names. Raises Refuse."""
    digest, _, size = path[len(_BASE) :].partition(".")
    right = path.startswith(_BASE) and len(digest) == 64 and hexadecimal(digest)
    if not right or not size.isdigit() or len(size) > 8:
        raise Refuse("not the path of a delta", path)
    return int(size), digest
