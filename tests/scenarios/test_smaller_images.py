"""Smaller forms of an image: a delta against what runs, and the image compressed."""

import hashlib
import json
import uuid

import pytest
from stage import HEAP, SIZE, Cloud, Stage, Verdict, image, target
from test_kinds import in_stream, stored

from sluice.commands import deploy
from sluice.device.supervisor import Board
from sluice.image import smaller

SMALL = 180_225  # bytes: 44 sectors and one byte
WAYS = {  # config.json's, by name
    "json": {},
    "cbor": {"stream_format": "cbor"},
    "http": {"protocol": "http"},
    "blocks of 512": {"block": 512, "window": 4_096},
    "blocks of 16,384": {"block": 16_384},
}


def begin(cloud: Cloud, stage, old: bytes, board: str = "SIM_ESP32", **config) -> Stage:
    """A board that runs this image."""
    scene = stage(cloud, **config)
    scene.board = Board(scene.root, scene.name, board=board, heap=HEAP, factory=old)
    scene.power_on()
    return scene


def delta(new: bytes, old: bytes) -> tuple[dict, bytes]:
    """(members of the document's entry, the container)."""
    path = f"/ota/{hashlib.sha256(old).hexdigest()}.{len(old)}"
    return {"fileType": 202, "filepath": path}, smaller.delta(new, old)


def compressed(new: bytes) -> tuple[dict, bytes]:
    return {"fileType": 203, "filepath": "/ota/compressed"}, smaller.compressed(new)


def ordered(
    scene: Stage,
    new: bytes,
    *forms: tuple[dict, bytes],
    http: bool = False,
    signed: bytes | None = None,
) -> str:
    """A job of an image, and of these forms of it; its id. `signed` is what was signed instead."""
    contents = dict(enumerate([new, *(content for _, content in forms)]))
    document = scene.document(signed or new, {"streamname": in_stream(scene, contents)})
    files = document["afr_ota"]["files"]
    for number, (members, content) in enumerate(forms, 1):
        files.append({"fileid": number, "filesize": len(content)} | members)
    if http:
        document["afr_ota"]["protocols"] = ["MQTT", "HTTP"]
        for entry in files:
            entry["update_data_url"] = stored(scene, contents[entry["fileid"]])
    name = f"smaller-{uuid.uuid4().hex[:8]}"
    scene.cloud.calls.iot.create_job(
        jobId=name,
        targets=[target(scene.name)],
        document=json.dumps(document),
        presignedUrlConfig={"roleArn": deploy.ROLE, "expiresInSec": 300},
    )
    return name


def updated(scene: Stage, new: bytes, *forms: tuple[dict, bytes], http: bool = False) -> Verdict:
    """Have the board take it, and see that it runs."""
    verdict = scene.verdict(ordered(scene, new, *forms, http=http))
    assert verdict.status == "SUCCEEDED", (verdict, scene.tail)
    assert scene.running == ("ota_1", "1.1.0")
    assert scene.board.slot_bytes("ota_1", len(new)) == new
    return verdict


@pytest.mark.parametrize("way", WAYS)
def test_delta_arrives_byte_for_byte(cloud: Cloud, stage, way):
    old = image("1.0.0", SIZE)
    scene = begin(cloud, stage, old, **WAYS[way])
    new = image("1.1.0", SIZE, padding="1.0.0", app="TEXT = 'another application'\n")
    form = delta(new, old)
    assert len(form[1]) < len(new) // 4
    verdict = updated(scene, new, form, http=way == "http")
    said = f"accepted v1.1.0 (delta: {len(form[1])} of {SIZE} bytes)"
    assert verdict.reason == said


@pytest.mark.parametrize("way", ("json", "cbor", "http"))
def test_compressed_image_arrives_byte_for_byte(cloud: Cloud, stage, way):
    scene = begin(cloud, stage, image("1.0.0", SMALL), **WAYS[way])
    new = image("1.1.0", SIZE)
    form = compressed(new)
    verdict = updated(scene, new, form, http=way == "http")
    assert verdict.reason == f"accepted v1.1.0 (compressed: {len(form[1])} of {SIZE} bytes)"


@pytest.mark.parametrize("way", ("json", "cbor", "http"))
@pytest.mark.parametrize("kind", ("delta", "compressed"))
def test_w800_stages_what_it_makes(cloud: Cloud, stage, kind, way):
    old = image("1.0.0", SMALL, chip="w800")
    new = image("1.1.0", SMALL + 5_000, chip="w800", padding="1.0.0")
    scene = begin(cloud, stage, old, "SIM_W800", **WAYS[way])
    form = delta(new, old) if kind == "delta" else compressed(new)
    verdict = scene.verdict(ordered(scene, new, form, http=way == "http"))
    said = f"accepted v1.1.0 ({kind}: {len(form[1])} of {len(new)} bytes)"
    assert (verdict.status, verdict.reason) == ("SUCCEEDED", said), scene.tail
    assert scene.board.slot_bytes("app_ota", len(new)) == new


# -- which form ----------------------------------------------------------------------------------


def test_board_takes_the_delta_from_what_it_runs_of_several(cloud: Cloud, stage):
    old, other = image("1.0.0", SMALL), image("0.9.0", SMALL)
    new = image("1.1.0", SMALL, padding="1.0.0")
    scene = begin(cloud, stage, old)
    forms = delta(new, other), compressed(new), delta(new, old)
    verdict = updated(scene, new, forms[0], forms[2], forms[1])
    assert verdict.reason == f"accepted v1.1.0 (delta: {len(forms[2][1])} of {SMALL} bytes)"


def test_board_that_runs_something_else_takes_the_image_and_says_so(cloud: Cloud, stage):
    scene = begin(cloud, stage, image("1.0.0", SMALL))
    new = image("1.1.0", SMALL)
    verdict = updated(scene, new, delta(new, image("0.9.0", SMALL)))
    assert verdict.reason == "accepted v1.1.0 (whole image: no delta from what runs)"


def test_board_without_the_room_for_it_takes_the_image_and_says_so(cloud: Cloud, stage):
    old, new = image("1.0.0", SMALL), image("1.1.0", SMALL, padding="1.0.0")
    scene = begin(cloud, stage, old)
    scene.board.stop()
    scene.board = Board(scene.root, scene.name, heap="98k")
    scene.power_on()
    verdict = updated(scene, new, delta(new, old))
    assert verdict.reason == "accepted v1.1.0 (whole image: no room to inflate)", scene.tail


# -- what goes wrong -----------------------------------------------------------------------------


def spoilt(content: bytes, at: int, value: bytes) -> bytes:
    """The same with other bytes there, counted from the end where negative."""
    data = bytearray(content)
    at %= len(data)
    data[at : at + len(value)] = value
    return bytes(data)


DAMAGE = {  # what is done to a delta → why the board goes over to the image
    "magic": (lambda c: spoilt(c, 0, b"X"), "not a container of this version"),
    "window": (lambda c: spoilt(c, 4, b"\x0f"), "not a container of this version"),
    "size": (lambda c: spoilt(c, 8, b"\x01\x02"), "container for another image"),
    "source": (lambda c: spoilt(c, 48, b"\0\0"), "container for another image"),
    "index": (lambda c: spoilt(c, 80, b"\x01\x00"), "the container's index is damaged"),
    "no piece": (lambda c: spoilt(c, 80, b"\x00\x00"), "the container's index is damaged"),
    "truncated": (lambda c: c[:-1], "the container's index is damaged"),
    "trailing": (lambda c: c + b"\0", "the container's index is damaged"),
    "first piece": (
        lambda c: spoilt(c, 80 + 2 * 45 + 2, b"\xff" * 16),
        "the container is damaged",
    ),
    "last piece": (lambda c: spoilt(c, -10, b"\xff" * 8), "the container is damaged"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_delta_is_given_up_for_the_image(cloud: Cloud, stage, damage):
    old, new = image("1.0.0", SMALL), image("1.1.0", SMALL, padding="1.0.0")
    scene = begin(cloud, stage, old)
    members, content = delta(new, old)
    spoil, reason = DAMAGE[damage]
    verdict = updated(scene, new, (members, spoil(content)))
    assert verdict.reason == f"accepted v1.1.0 (whole image: {reason})"


def test_delta_that_makes_another_image_than_was_signed_is_given_up_for_the_image(
    cloud: Cloud, stage
):
    old, new = image("1.0.0", SMALL), image("1.1.0", SMALL, padding="1.0.0")
    scene = begin(cloud, stage, old)
    verdict = updated(scene, new, delta(spoilt(new, -40, b"other"), old))
    assert verdict.reason == "accepted v1.1.0 (whole image: bad signature)"


def test_image_that_is_forged_in_both_forms_is_refused(cloud: Cloud, stage):
    old, new = image("1.0.0", SMALL), image("1.1.0", SMALL, padding="1.0.0")
    scene = begin(cloud, stage, old)
    forged = spoilt(new, -40, b"other")
    verdict = scene.verdict(ordered(scene, forged, delta(forged, old), signed=new))
    assert (verdict.status, verdict.reason) == ("FAILED", "bad signature"), scene.tail
    assert scene.running == ("ota_0", "1.0.0")
