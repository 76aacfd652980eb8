"""Files of a job on the simulated board's file system: all in place or none, and the truth."""

import contextlib
import hashlib
from pathlib import Path

import pytest
from stage import Cloud, Stage, image, soon
from test_kinds import stored, template
from typed import good

from sluice.commands import deploy
from sluice.commands.image import SELF_TESTS
from sluice.device import provision

SMALL = 180_224  # bytes
MAP = bytes(at * 7 % 251 for at in range(70_000))  # more than one checkpoint
PLACES = {"/data/map.bin": MAP, "/app.txt": b"new"}
NOW = {"/app.txt": b"old"}  # what the board has before


def new(scene: Stage) -> dict[str, bytes | None]:
    """What the board, which is switched off for it, has at the places; None for nothing there."""
    scene.board.stop()
    found: dict[str, bytes | None] = {}
    with provision.mounted(scene.board.chip, scene.board.table) as files:
        for place in PLACES:
            found[place] = None
            with contextlib.suppress(FileNotFoundError), files.open(place, "rb") as file:
                found[place] = file.read()
    return found


OLD = {place: NOW.get(place) for place in PLACES}


@pytest.fixture
def scene(cloud: Cloud, stage) -> Stage:
    """A board that is off, with an old file at one of the places."""
    made = stage(cloud)
    made.board.make()
    for place, content in NOW.items():
        made.board.write_file(place, content)
    return made


def deployed(scene: Stage, content: bytes, protocol: str = "mqtt") -> str:
    """`sluice deploy IMAGE --file …`; the job's id."""
    words: list[object] = []
    for place, data in PLACES.items():
        words += ["--file", f"{scene.file(data)}={place}"]
    line = ("deploy", scene.file(content), *words, "--thing", scene.name, "--state", scene.root)
    return good(*line, "--protocol", protocol).strip()


def entry(scene: Stage, place: str, content: bytes, **more) -> dict:
    """A file of an install document, presigned and signed."""
    shape = {"fileName": place, "fileSource": {"url": stored(scene, content)}}
    shape["checksum"] = {
        "inline": {"value": hashlib.sha256(content).hexdigest()},
        "hashAlgorithm": "SHA256",
    }
    return shape | {"sig-sha256-ecdsa": scene.signature(content)} | more


def install(scene: Stage, **more) -> dict:
    files = [entry(scene, place, content) for place, content in PLACES.items()]
    return {"operation": "install", "packageName": "demo", "files": files} | more


def create(scene: Stage, document: dict) -> str:
    """A job whose placeholders become addresses."""
    return scene.job(document)


@pytest.mark.parametrize(
    ("protocol", "form"), [("mqtt", "json"), ("mqtt", "cbor"), ("http", "json")]
)
def test_files_of_an_image_arrive_and_stay_with_it(scene, protocol, form):
    scene.configure(stream_format=form)
    scene.power_on()
    verdict = scene.verdict(deployed(scene, image("1.1.0", SMALL), protocol))
    assert (verdict.status, verdict.reason) == ("SUCCEEDED", "accepted v1.1.0"), scene.tail
    assert new(scene) == PLACES


def test_files_of_an_image_arrive_whatever_becomes_of_their_blocks(own_cloud, stage, spy):
    faults = {"drop_blocks": {"blocks": [3, 9], "times": 1}, "reorder_blocks": {"every": 3}}
    scene = stage(own_cloud.start(faults), window=32_768)
    ears = spy(scene)
    scene.power_on()
    verdict = scene.verdict(deployed(scene, image("1.1.0", SMALL)))
    assert verdict.status == "SUCCEEDED", scene.tail
    assert new(scene) == PLACES
    sent = [body["i"] for topic, body in ears.heard if "/data/" in topic and body["f"] == 1]
    asked = [body for topic, body in ears.heard if topic.endswith("/get/json") and body["f"] == 1]
    assert sent != sorted(sent)
    for lost in (3, 9):  # and so all behind it: a file is taken in order
        assert sum(body["o"] <= lost < body["o"] + body["n"] for body in asked) >= 2


def test_files_of_an_image_that_fails_its_trial_are_as_they_were(scene):
    scene.power_on()
    verdict = scene.verdict(deployed(scene, image("1.1.0", SMALL, app=SELF_TESTS["fail"])))
    assert verdict.status == "FAILED" and verdict.reason.startswith("rolled back"), scene.tail
    assert any("placed /app.txt" in line for line in scene.board.lines)
    assert new(scene) == OLD


def test_files_without_an_image_are_in_place_without_a_restart(scene):
    scene.board.heap = "112k"  # with all code loaded into it
    scene.power_on()
    verdict = scene.verdict(create(scene, install(scene)))
    assert (verdict.status, verdict.reason) == ("SUCCEEDED", "files in place: 2"), scene.tail
    assert len(scene.starts) == 1 and new(scene) == PLACES


def test_damaged_file_in_the_set_leaves_the_file_system_as_it_was(scene):
    scene.power_on()
    document = install(scene)
    document["files"][1]["sig-sha256-ecdsa"] = scene.signature(b"another")
    verdict = scene.verdict(create(scene, document))
    assert (verdict.status, verdict.reason) == ("FAILED", "bad signature"), scene.tail
    assert new(scene) == OLD


def test_files_that_do_not_fit_are_rejected(scene):
    scene.power_on()
    files = entry(scene, "/big", b"big", size=2_000_000)
    verdict = scene.verdict(create(scene, install(scene, files=files)))
    assert verdict.status == "REJECTED", scene.tail
    assert verdict.reason.startswith("file system too small: ")


def test_unsigned_file_is_rejected_and_the_template_needs_a_board_that_allows_it(cloud, stage):
    strict = stage(cloud)
    strict.power_on()
    address = stored(strict, MAP)
    document = template("Download-File", "download-file.sh", address, "/data/map.bin")
    verdict = strict.verdict(create(strict, document))
    assert (verdict.status, verdict.reason) == ("REJECTED", "no signature")
    lax = stage(cloud, allow_unsigned=True)
    lax.power_on()
    assert lax.verdict(create(lax, document)).status == "SUCCEEDED", lax.tail
    assert new(lax)["/data/map.bin"] == MAP


def test_application_that_does_not_start_is_taken_back_and_its_job_failed(scene):
    scene.power_on()
    files = entry(scene, "app.py", b"raise ValueError('pump')\n")
    job = create(scene, install(scene, files=files, autoStart="true"))
    verdict = scene.verdict(job)
    assert verdict.status == "FAILED" and "did not start" in verdict.reason, scene.tail
    assert any("ValueError: pump" in line for line in scene.board.lines)


def test_files_with_auto_start_restart_the_board_once(scene):
    scene.power_on()
    verdict = scene.verdict(create(scene, install(scene, autoStart="true")))
    assert verdict.status == "SUCCEEDED" and "restarted" in verdict.reason, scene.tail
    assert len(scene.starts) == 2 and new(scene) == PLACES


def operations(scene: Stage) -> list[int]:
    """Flash operations at the promise and at the end of an install that nothing disturbs."""
    scene.power_on()
    begin = scene.board.operations
    assert scene.verdict(create(scene, install(scene))).status == "SUCCEEDED", scene.tail
    soon(lambda: "agent idle" in scene.board.lines[-1])
    return [begin, scene.board.operations]


@pytest.mark.differs  # the file system
def test_power_cut_anywhere_in_an_install_ends_with_all_or_none(cloud, stage, scene):
    begin, end = operations(scene)
    for number in range(4):
        other = stage(cloud)
        other.board.make()
        for place, content in NOW.items():
            other.board.write_file(place, content)
        at = end - (end - begin) * number // 12 - 2  # the renames are near the end
        other.power_on()
        other.board.cut_after(at - begin, ("nothing", "front", "back", "whole")[number])
        verdict = other.verdict(create(other, install(other)))
        assert "power: cut" in other.board.lines, at
        assert verdict.status == "SUCCEEDED", other.tail
        assert new(other) == PLACES


@pytest.mark.parametrize(
    ("operation", "part"),
    [(300, "front"), (698, "back"), (711, "front")],
    ids=["while_files_come", "at_the_promise", "between_renames"],
)
def test_power_cut_in_an_image_with_files_ends_with_both_or_neither(scene, operation, part):
    """Of some 740 operations, three; tests/firmware/test_files.py cuts at each, in a model."""
    board = scene.power_on()
    board.cut_after(operation, part)
    verdict = scene.verdict(deployed(scene, image("1.1.0", SMALL)))
    assert board.lines.count("power: cut") == 1
    if verdict.status == "SUCCEEDED":
        assert scene.running == ("ota_1", "1.1.0") and new(scene) == PLACES
    else:
        assert verdict.reason == "rolled back: not confirmed in its trial", scene.tail
        assert scene.running == ("ota_0", "1.0.0") and new(scene) == OLD


def test_deploy_says_what_is_wrong_with_a_file(tmp_path: Path):
    assert deploy.part("a=b/c") == (Path("a"), "b/c")
    assert deploy.part("x=y=/z") == (Path("x=y"), "/z")
    for text in ("a", "=b", "a="):
        with pytest.raises(deploy.SluiceError, match="SRC=DEST"):
            deploy.part(text)
