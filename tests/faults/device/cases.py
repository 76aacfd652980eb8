"""What a board is asked, and whether it came out right. Device code."""

from binascii import b2a_base64, hexlify
from hashlib import sha256

import chip
import world
from containers import COMPRESSED, DELTA
from images import NEW, OLD, image

MAP = bytes(reversed(image("0", 6_000, 9)))  # a file of a job; it begins as no image does
chip.Chip.sizes = (len(OLD), len(NEW))
ECHO = {"operation": "echo", "text": "still here"}


def signature(data):
    """What the double of sluice.trust.p256 takes for the signer's."""
    return b2a_base64(sha256(sha256(data).digest() + b"signed").digest())[:-1].decode()


def streamed(data, id, **more):
    file = {"filesize": len(data), "fileid": id, "filepath": "app.bin", "certfile": "signer.crt"}
    file["sig-sha256-ecdsa"] = signature(data)
    file.update(more)
    return file


def ota(*files):
    return {"afr_ota": {"protocols": ["MQTT"], "streamname": "s", "files": list(files)}}


def located():
    document = {"operation": "app_fw_update", "size": len(NEW), "fwversion": "1.1.0"}
    document["location"] = {"protocol": "http:", "host": "files", "path": "app.bin"}
    document["signature"] = signature(NEW)
    return document


def installed():
    entry = {"fileName": "/lib/pump/map.bin", "url": "http://files/map.bin", "size": len(MAP),
             "checksum": {"inline": {"value": hexlify(sha256(MAP).digest()).decode()},
                          "hashAlgorithm": "SHA256"},
             "sig-sha256-ecdsa": signature(MAP)}  # fmt: skip
    return {"operation": "install", "packageName": "pump", "files": [entry]}


def smaller(data, id, **more):
    """Of AWS's types 202 and 203; the image is in the job, too."""
    form = dict({"filesize": len(data), "fileid": id, "certfile": "/"}, **more)
    return ota(streamed(NEW, 0), form)


def fetched(document):
    """The same document, its files to be had by HTTP."""
    order = document["afr_ota"]
    order["protocols"] = ["HTTP"]
    for file in order["files"]:
        file["update_data_url"] = "http://files/" + world.clouds.STREAMED[file["fileid"]]
        file["auth_scheme"] = "aws.s3.presigned"
    return document


FILES = {"app.bin": NEW, "map.bin": MAP, "delta.bin": DELTA, "compressed.bin": COMPRESSED}
FILE = {"fileType": 2, "filepath": "/lib/pump/map.bin"}
BASE = "/ota/%s.%d" % (hexlify(sha256(OLD).digest()).decode(), len(OLD))
JOBS = {  # name → configuration, document, what it brings: "image", "file", a smaller form, or ""
    "image, JSON": ({}, ota(streamed(NEW, 0)), "image"),
    "image, CBOR": ({"stream_format": "cbor"}, ota(streamed(NEW, 0)), "image"),
    "image, HTTP": ({}, located(), "image"),
    "file, JSON": ({}, ota(streamed(MAP, 1, **FILE)), "file"),
    "file, HTTP": ({}, installed(), "file"),
    "image and file": ({}, ota(streamed(NEW, 0), streamed(MAP, 1, **FILE)), "image file"),
    "delta, JSON": ({"block": 1024}, smaller(DELTA, 2, fileType=202, filepath=BASE), "delta"),
    "delta, HTTP": ({}, fetched(smaller(DELTA, 2, fileType=202, filepath=BASE)), "delta"),
    "compressed, CBOR": (
        {"stream_format": "cbor", "block": 1024},
        smaller(COMPRESSED, 3, fileType=203, filepath="app.sls"),
        "compressed",
    ),
    "reboot": ({}, {"operation": "reboot"}, ""),
    "echo": ({}, ECHO, ""),
}


KINDS = {  # what a job brings → the file that it fetches
    "image": "app.bin", "file": "map.bin", "delta": "delta.bin", "compressed": "compressed.bin",
}  # fmt: skip
SMALLER_FORMS = ("delta", "compressed")
BROUGHT = {  # job → files that it fetches
    name: [KINDS[kind] for kind in brings.split()] for name, (_, _, brings) in JOBS.items()
}


def made(name, blocks=40):
    """A board that has been given that job."""
    config, document, _ = JOBS[name]
    found = world.World(config, FILES, blocks)
    found.name = name
    memoryview(found.chip.parts[0].data)[: len(OLD)] = OLD
    found.cloud.give("j1", document)
    found.cloud.give("j2", ECHO)
    return found


def tried(found):
    """Run it to its end; what was wrong, or "" """
    fault = found.run()
    found.chip.disk.fails = None  # to look at it
    return fault or wrong(found)


def wrong(found):
    """Why the outcome is not right; "" where it is."""
    name = found.name
    kind = JOBS[name][2]
    first, second = found.cloud.executions[:2]
    running = found.chip.running
    new = holds(running, NEW)
    if found.chip.trial:
        return "the image is still on trial"
    for one in (first, second):
        if len(one.told) != 1 or not one.details or not one.details.get("reason"):
            return "%s was told %s, %s" % (one.id, one.told, one.details)
    if first.status == "SUCCEEDED":
        if brings_image(kind) and not new:
            return "SUCCEEDED, but the old image runs"
        if "file" in kind and placed(found) != MAP:
            return "SUCCEEDED, but the file is not there"
        return ""
    if new:
        return first.status + ", but the new image runs"
    if not holds(running, OLD):
        return "the image that ran is damaged"
    if "file" in kind and placed(found) is not None and not found.dying:
        return first.status + ", but the file is there"
    return ""


def brings_image(kind):
    """Whether the new image runs after the job, in whatever form it came."""
    return bool(kind) and kind != "file"


def holds(part, image):
    return memoryview(part.data)[: len(image)] == image


def placed(found):
    with found.chip.board:
        try:
            with open("/lib/pump/map.bin", "rb") as file:
                return file.read()
        except OSError:
            return None
