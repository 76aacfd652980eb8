"""Boards whose configuration is missing, broken or wrong: who can be reached comes back.

Kinds of damage are swept in tests/firmware/test_lastgood.py, without a board.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from person import Person
from relay import Relay
from stage import HEAP, Stage, image

from sluice.device import provision
from sluice.device.supervisor import Board
from sluice.image import make_image
from sluice.image.modules import device_sources

SMALL = 180_224  # bytes
NOBODY = 1  # a port
KEY, LINK = "/private.pem.key", "/lastgood.link"
INSTEAD = "the way that linked last is taken"
SECRET = "sesame open"
WIFI = {"ssid": "attic", "password": SECRET}
SLOW = """
async def run(job, device):
    await device.clock.sleep_ms(6_000)
"""


def changed(scene: Stage, **changes: Any) -> bytes:
    """The thing's config.json with other members; None takes one away."""
    values = json.loads((scene.files / "config.json").read_text()) | changes
    return json.dumps({key: value for key, value in values.items() if value is not None}).encode()


def put(scene: Stage, **files: bytes | None) -> None:
    """Change `config` and `key` of the board, which is off; None: the file is removed."""
    scene.board.make()
    with provision.mounted(scene.board.chip, scene.board.table) as root:
        for name, data in files.items():
            path = {"config": "/config.json", "key": KEY}[name]
            if data is None:
                root.remove(path)
            else:
                with root.open(path, "wb") as file:
                    file.write(data)


def seasoned(scene: Stage) -> Stage:
    """Its board has linked, and is off."""
    scene.power_on().wait_for("this way is kept")
    scene.board.stop()
    return scene


def lines(scene: Stage, words: str) -> list[int]:
    """The numbers of the board's lines that have these words."""
    return [number for number, line in enumerate(scene.board.lines) if words in line]


def works(scene: Stage) -> None:
    """The board does a job."""
    verdict = scene.verdict(scene.job({"operation": "echo", "text": "here"}))
    assert verdict.status == "SUCCEEDED", scene.tail


def test_board_without_a_configuration_comes_back_and_can_be_updated(cloud, stage):
    scene = seasoned(stage(cloud))
    put(scene, config=None)
    port = scene.folder / "port"
    scene.board = Board(scene.root, scene.name, heap=HEAP, link=port)
    board = scene.power_on()
    assert lines(scene, f"{INSTEAD}: no /config.json")
    verdict = scene.settled(scene.deploy(image("1.1.0", SMALL)))
    assert verdict.status == "SUCCEEDED", scene.tail
    assert scene.running == ("ota_1", "1.1.0") and scene.trials == 1
    person = Person(port)
    person.interrupt()
    said = person.say("status()")
    person.close()
    assert f"thing     {scene.name} at localhost" in said
    assert "config    the way that linked last, because: no /config.json" in said
    board.stop()
    with pytest.raises(FileNotFoundError):
        board.read_file("/config.json")


def test_board_goes_the_way_that_linked_last_and_never_back_to_an_older_trust(cloud, stage):
    scene, other = stage(cloud, wifi=WIFI, trial_s=10, allow_unsigned=True), stage(cloud)
    seasoned(scene)
    unsigned = scene.document(image("1.1.0", SMALL), sig_sha256_ecdsa=None)

    def comes_back(words: str, **files: bytes | None) -> None:
        """With these files the board says so, links, and takes nothing that is not signed."""
        put(scene, **files)
        seen = len(scene.board.lines)
        board = scene.power_on()
        board.wait_for(words, after=seen)
        verdict = scene.verdict(scene.job(unsigned))
        assert (verdict.status, verdict.reason) == ("REJECTED", "no signature"), scene.tail

    ours, theirs = (one.files.joinpath(KEY[1:]).read_bytes() for one in (scene, other))
    comes_back(
        "now tried: the way that linked last",
        config=changed(scene, allow_unsigned=None),
        key=theirs,
    )
    assert lines(scene, "attempt failed: Refused")
    scene.board.stop()

    wrong = changed(scene, allow_unsigned=None, wifi=WIFI | {"password": "wrong"})
    comes_back("now tried: the way that linked last", config=wrong, key=ours)
    assert lines(scene, "no Wi-Fi attic wrong password")
    seen = len(scene.board.lines)
    scene.board.cut_power()
    scene.board.wait_for(f"{INSTEAD}: /config.json did not link", after=seen)
    scene.board.wait_for("agent idle", after=seen)
    scene.board.stop()
    assert scene.board.read_file("/config.json") == wrong

    comes_back(f"{INSTEAD}: /config.json is not JSON", config=wrong[:-1])
    assert scene.running == ("ota_0", "1.0.0") and not scene.trials
    scene.board.stop()

    put(scene, config=changed(other, port=NOBODY))
    seen = len(scene.board.lines)
    board = scene.board.start()
    board.wait_for(f"the way that linked last is another thing's: {scene.name}", after=seen)
    board.wait_for("attempt failed: ", after=seen)
    board.stop()
    with pytest.raises(FileNotFoundError):
        board.read_file(LINK)
    assert not lines(scene, SECRET)


def test_board_that_nothing_helps_says_why_and_pauses_longer_each_time(cloud, stage):
    scene = stage(cloud, wifi=WIFI)
    put(scene, config=changed(scene, private_key=None))
    board, seen = scene.board.start(), 0
    for pause_s in (10, 20):
        board.wait_for("cannot start: config lacks private_key", after=seen)
        board.wait_for(f"The board starts again in {pause_s} s", after=seen)
        seen = len(board.lines)
    assert board.alive and not lines(scene, SECRET)


@pytest.fixture
def relay(own_cloud) -> Iterator[Relay]:
    """To the cloud of the test's own; nobody listens yet."""
    made = Relay(own_cloud.start().state.running()["mqtt_port"], sys.maxsize, asleep=True)
    yield made
    made.close()


def hurried() -> bytes:
    """The firmware, that comes back to the newer way after seconds, where it is a quarter hour."""
    modules = device_sources("SIM_ESP32")
    source = modules["sluice/lastlink.py"].read_text()
    for name in ("_AGAIN_MS", "_TURN_MS"):
        assert source.count(f"\n{name} = const(900_000)") == 1
        source = source.replace(f"\n{name} = const(900_000)", f"\n{name} = const(1_000)")
    return make_image("1.0.0", modules=modules | {"sluice/lastlink.py": source})


def test_ways_take_turns_until_one_links_and_the_newer_is_tried_again_between_jobs(
    own_cloud, stage, relay
):
    """The newer way is of no use at first, and the cloud is down for a while."""
    scene = stage(own_cloud, trial_s=10)
    scene.board = Board(scene.root, scene.name, heap=HEAP, factory=hurried())
    scene.equip("slow", SLOW)
    seasoned(scene)
    job = scene.job({"operation": "slow"})
    own_cloud.stop()
    put(scene, config=changed(scene, port=relay.port))
    board = scene.board.start()
    board.wait_for("now tried: the way that linked last")
    board.wait_for("now tried: the newer way")
    own_cloud.start()
    assert scene.verdict(job).status == "SUCCEEDED", scene.tail
    relay.wake()
    seen = lines(scene, "now tried: the way that linked last")[-1]
    board.wait_for("now tried: the newer way", after=seen)
    board.wait_for("this way is kept", after=seen)
    works(scene)
    done = lines(scene, "agent OPERATING done")[0]
    assert seen < done < lines(scene, "now tried: the newer way")[1]
    board.stop()
    assert b", %d," % relay.port in board.read_file(LINK)
