"""What differs between releases of MicroPython, on a whole board: TLS, files, asyncio, a trial."""

import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from stage import image

from sluice.toolchain import RELEASES

pytestmark = pytest.mark.differs
SMALL = 180_225  # bytes: 44 sectors and one byte


def test_board_runs_the_release_that_is_asked_for(cloud, stage, release):
    scene = stage(cloud)
    version, _, arch = scene.board.micropython.partition(", ")
    asked = tuple(map(int, release.split(".")))
    runs = tuple(map(int, version.split(".")[:2]))
    assert arch == "i386"
    assert runs == asked or (RELEASES[release].moves and runs > asked)


def test_update_is_tried_and_confirmed_and_one_that_fails_is_taken_back(cloud, stage):
    scene = stage(cloud)
    scene.power_on()
    assert scene.settled(scene.deploy(image("1.1.0", SMALL))).status == "SUCCEEDED", scene.tail
    assert scene.running == ("ota_1", "1.1.0")
    failing = image("1.2.0", SMALL, app="async def healthy():\n    return False\n")
    assert scene.settled(scene.deploy(failing)).status == "FAILED", scene.tail
    assert scene.running == ("ota_1", "1.1.0") and scene.trials == 2


def test_power_cut_while_it_downloads_is_gone_on_from(cloud, stage):
    scene = stage(cloud)
    board = scene.power_on()
    new = image("1.1.0", 4 * SMALL)
    job = scene.deploy(new)
    board.wait_for(r"update progress \d{6}")
    board.cut_power()
    assert scene.settled(job).status == "SUCCEEDED", scene.tail
    assert scene.had[-1] > 0 and board.slot_bytes("ota_1", len(new)) == new


def test_image_with_files_is_put_in_place_as_a_whole(cloud, stage, tmp_path):
    scene = stage(cloud)
    scene.power_on()
    brought = tmp_path / "map.json"
    brought.write_text(json.dumps({"rooms": 3}))
    job = scene.deploy(image("1.1.0", SMALL), "--file", f"{brought}=/data/deep/map.json")
    assert scene.settled(job).status == "SUCCEEDED", scene.tail
    scene.board.stop()
    assert scene.board.read_file("/data/deep/map.json") == brought.read_bytes()


def test_board_whose_files_are_der_links_and_takes_an_update(cloud, stage):
    """As for a MicroPython whose mbedTLS has no PEM parser."""
    scene = stage(cloud)
    about = json.loads((scene.files / "config.json").read_text())
    for name in ("ca", "certificate", "private_key"):
        file = scene.files / about[name].rpartition("/")[2]
        file.write_bytes(der(file.read_bytes()))
    scene.power_on()
    assert scene.verdict(scene.deploy(image("1.1.0", SMALL))).status == "SUCCEEDED", scene.tail


def der(pem: bytes) -> bytes:
    """The same certificate or key, as bytes."""
    if b"CERTIFICATE" in pem:
        return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    key = load_pem_private_key(pem, None)
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
