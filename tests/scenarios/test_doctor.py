"""`sluice doctor`: what it finds, what it must not show, and that the board goes on as it was."""

import fcntl
import json
import os
import pty
import re
import struct
import termios
from pathlib import Path

import pytest
from stage import HEAP, SIZE, Stage, image, soon
from typed import good

from sluice import __version__
from sluice.board_port import BoardRaised
from sluice.bundle import container, make, tree
from sluice.device import provision
from sluice.device.supervisor import Board
from sluice.doctor import measuring
from sluice.doctor.examination import TOO_LITTLE, _asked, keeps_out, whole
from sluice.doctor.report import SHAPES, SPARE, about_trees, lines, remarks
from sluice.flash import contents
from sluice.image import pack_image
from sluice.image.modules import SELF_TESTS

SMALL = 180_224  # bytes
SECRETS = {"wifi": {"ssid": "attic", "password": "sesame open"}, "token": "abc123xyz"}
SLOW_VERDICT = """
import asyncio

async def healthy():
    print("asked")
    await asyncio.sleep(1)
    return True
"""


@pytest.fixture
def patient(cloud, stage):
    """A function: (**config) → a stage whose board has a serial port and waits for jobs."""

    def make(heap: str = HEAP, **config) -> Stage:
        scene = stage(cloud, **config)
        port = scene.folder / f"port-{scene.name}"
        scene.board = Board(scene.root, scene.name, heap=heap, link=port)
        scene.power_on()
        return scene

    return make


def report(scene: Stage) -> dict:
    return json.loads(good("doctor", "--port", scene.board.link, "--json"))


def test_doctor_tells_all_of_a_board_but_its_secrets_and_starts_it_again(patient):
    scene = patient(heap="112k", **SECRETS)
    seen = len(scene.board.lines)
    text = good("doctor", "--port", scene.board.link)
    scene.board.wait_for("agent idle", after=seen)
    for line in (
        "SIM_ESP32, simulated",
        "ota_0 runs, version 1.0.0, confirmed",
        "ota_1, 1,568,768 bytes: blank",
        f"{scene.name} at localhost:",
        ", shadow classic,",
        "to look at     a simulated board: times are those of this computer, and of no board",
    ):
        assert line in text
    assert re.search(r"ota_0 +0x\w+ +1,572,864 bytes  confirmed\n", text)
    assert re.search(r"ota_1 +0x\w+ +1,572,864 bytes\n", text)
    for measured in (", TLS ", "P-256 verified in", "a sector: erase", "written and closed"):
        assert measured in text
    assert " failed" not in text

    key = (scene.files / "private.pem.key").read_text().splitlines()[1]
    everything = text + "\n".join(scene.board.lines[seen:])
    for secret in ("sesame", "abc123xyz", key):
        assert secret not in everything
    assert "attic" not in text
    scene.board.stop()
    assert scene.board.slot_bytes("ota_1", 1_572_864) == b"\xff" * 1_572_864
    with pytest.raises(FileNotFoundError):
        scene.board.read_file("/doctor.tmp")


def test_doctor_shows_the_last_failures_and_the_warnings_since_the_start(patient):
    scene = patient(**SECRETS)
    refused = scene.job({"operation": "brew"})
    assert scene.verdict(refused).status == "REJECTED"
    sick = scene.deploy(image("1.1.0", SMALL, app=SELF_TESTS["fail"]))
    assert scene.settled(sick).status == "FAILED"
    assert scene.settled(scene.job({"operation": "echo"})).status == "SUCCEEDED"
    unknown = scene.job({"operation": "pour"})
    assert scene.settled(unknown).status == "REJECTED"
    assert scene.settled(scene.deploy(image("1.2.0", SMALL))).status == "SUCCEEDED"
    brew = scene.job({"operation": "brew"})
    assert scene.settled(brew).status == "REJECTED"
    text = good("doctor", "--port", scene.board.link)
    kept = [
        rf"failures +20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC: {refused} 1 rejected .*brew",
        rf" +20.* UTC: {sick} 1 failed rolled back: self-test failed",
        rf" +20.* UTC: {unknown} 1 rejected .*pour",
        rf" +20.* UTC: {brew} 1 rejected .*brew",
        r"log +W \d+ agent refused .*brew",  # and none of what was before the update
    ]
    assert re.search("\n".join(kept), text), text


def test_doctor_in_mid_download_keeps_its_hands_off_and_the_update_goes_on(patient):
    scene = patient()
    job = scene.deploy(image("1.1.0", SIZE))
    before = scene.board.operations
    soon(lambda: scene.board.operations > before + 200)
    found = report(scene)
    assert found["journal"]["phase"] == "downloading" and found["journal"]["job"] == job
    assert found["journal"]["written"] >= 65_536
    assert found["flash_speed"] == {"skipped": "a job is at hand (downloading)"}
    assert scene.verdict(job).status == "SUCCEEDED", scene.tail


def test_doctor_in_a_trial_leaves_it_on_trial(patient):
    scene = patient()
    job = scene.deploy(image("1.1.0", SMALL, app=SLOW_VERDICT))
    scene.board.wait_for("^asked")
    found = report(scene)
    assert found["slots"]["trial"] and found["slots"]["running"] == "ota_1"
    assert found["flash_speed"]["skipped"].startswith("a job is at hand")
    assert scene.verdict(job).status == "SUCCEEDED", scene.tail
    assert scene.trials == 1


@pytest.fixture
def flashed(cloud, stage):
    """A function: (files) → a stage whose board has the agent in a tree, a serial port, and these
    files besides, a record of trees among them."""

    def make(files: dict[str, bytes]) -> Stage:
        scene = stage(cloud)
        bare, port = pack_image("", {}), scene.folder / f"port-{scene.name}"
        scene.board = Board(scene.root, scene.name, heap=HEAP, factory=bare, link=port)
        scene.board.make()
        with provision.mounted(scene.board.chip, scene.board.table) as root:
            for path, content in (contents.firmware("SIM_ESP32") | files).items():
                with root.open(path, "wb") as file:
                    file.write(content)
        return scene

    return make


def app_tree(folder: Path, text: str) -> bytes:
    """The tree of an application."""
    (folder / "app.py").write_text(text)
    return tree.pack(container.unpack(make.application(folder / "app.py", "3.1"))[1])


def test_doctor_shows_the_trees_that_run_and_those_that_cannot(flashed, tmp_path):
    app, agent = app_tree(tmp_path, "print('the tree')"), contents.agent("SIM_ESP32")
    runs = [["b", tree.digest(app), "3.1", 6], ["a", "0" * 64, "3.0", 6]]
    agents = [["b", "0" * 64, "7.0.0", 6], agent.entry("a")]
    scene = flashed(
        {
            "/trees.0": tree.record(2, runs, agents),
            "/app.b": app,
            "/agent.b": b"damaged" * 9,
            "/app.py": b"print('mine')",
        }
    )
    scene.power_on()
    assert "the tree" in scene.board.lines and "mine" not in scene.board.lines
    seen = len(scene.board.lines)
    text = good("doctor", "--port", scene.board.link)
    scene.board.wait_for("agent idle", after=seen)
    assert re.search(
        r"trees +agent.b 7.0.0, DAMAGED\n +agent.a " + re.escape(__version__) + r", runs\n"
        r" +app.b 3.1, runs\n +app.a 3.0, MISSING\n",
        text,
    ), text
    assert "firmware in a tree; last reset" in text
    for remark in (
        "the tree agent.b is passed over: damaged",
        "the tree app.a is passed over: missing",
        "/app.py is passed over: a tree runs instead",
    ):
        assert f"to look at     {remark}\n" in text
    assert " failed" not in text


def test_doctor_in_the_trial_of_a_tree_leaves_it_on_trial(flashed, tmp_path):
    scene = flashed({})
    scene.power_on()
    (tmp_path / "app.py").write_text(SLOW_VERDICT)
    job = scene.deploy(make.application(tmp_path / "app.py", "3.1"))
    scene.board.wait_for("^asked")
    found = report(scene)
    assert found["trees"]["new"] == ["app"] and found["trees"]["on_trial"]
    assert [row["runs"] for row in found["trees"]["app"]] == [True]
    assert scene.verdict(job).status == "SUCCEEDED", scene.tail
    assert scene.board.lines.count("asked") == 2
    found = report(scene)
    assert found["trees"]["new"] == [] and not found["trees"]["on_trial"]
    assert found["trees"]["shadowed"] == []


ROW = {"tree": "app.b", "version": "1.2", "runs": True, "fault": ""}


@pytest.mark.parametrize(
    ("seen", "told", "remarks"),
    [
        ({}, ["none: what starts this board knows of no trees"], []),
        ({"agent": [], "app": [], "new": [], "slot": ""}, ["none recorded"], []),
        (
            {"agent": [], "app": [ROW], "new": ["app"], "slot": "ota_1"},
            ["app.b 1.2, runs, on trial"],
            ["the tree app.b is on trial, with the image in ota_1: a reset takes it back"],
        ),
        (
            {"agent": [], "app": [ROW | {"runs": False}], "new": [], "slot": ""},
            ["app.b 1.2, stays as the way back"],
            [],
        ),
    ],
)
def test_doctor_says_what_trees_are_for(seen, told, remarks):
    assert SHAPES["trees"](seen) == told
    assert about_trees(seen) == remarks


def test_doctor_says_what_failed_and_goes_on(cloud, stage):
    scene = stage(cloud)
    config = json.loads((scene.files / "config.json").read_text())
    scene.configure(ca=config["signers"][0], signers=[])  # a CA that the broker is not of
    port = scene.folder / "port"
    scene.board = Board(scene.root, scene.name, heap=HEAP, link=port).start()
    scene.board.wait_for("attempt failed")
    text = good("doctor", "--port", port)
    assert re.search("handshake +failed: .*CA", text), text
    assert "to look at     handshake failed" in text
    assert "no signer is configured: every image will be refused" in text
    assert "P-256 verified" in text


def test_doctor_calls_a_full_heap_by_its_name_and_says_what_to_do(patient):
    scene = patient()
    scene.board.stop()
    tight = "70k"  # the doctor fits, and no handshake beside it
    scene.board = Board(scene.root, scene.name, heap=tight, link=scene.board.link).start()
    scene.board.wait_for("agent boot|MemoryError")
    text = good("doctor", "--port", scene.board.link)
    assert re.search("handshake +skipped: too little heap to try it here\n", text), text
    said = "to look at     too little heap to try .*handshake.* beside the doctor's own code: "
    assert re.search(said + "`sluice console`", text), text
    assert " failed\n" not in text and "no firmware" not in text


SYSTEM = {
    "micropython": "1.25.0", "machine": "a board", "platform": "esp32", "epoch": 2000,
    "reset_cause": 1, "firmware": "",
}  # fmt: skip


@pytest.mark.parametrize(
    ("lies", "where"),
    [
        ("/lib/sluice/errors.mpy", "in /lib"),
        ("/.agent/sluice/errors.mpy", "in a tree"),
        ("sluice/errors.py", "in the image"),
        ("/rom/sluice/errors.mpy", "in the image"),
        ("", "none"),
    ],
)
def test_doctor_says_where_the_firmware_is(lies, where):
    assert SHAPES["system"](SYSTEM | {"firmware": lies})[1].startswith(
        f"firmware {where}; last reset: power-on"
    )


@pytest.mark.parametrize(
    ("earlier", "said"),
    [
        (False, "to look at     no firmware, or not all of it: `sluice flash` puts it there"),
        (True, "to look at     firmware of an earlier layout: `sluice flash` replaces it"),
    ],
)
def test_doctor_says_that_firmware_is_missing_or_old_and_what_to_do(earlier, said):
    found = {"port": "p", "system": SYSTEM | {"earlier": earlier}} | {
        name: {"failed": "ImportError: no module named 'board'"}
        for name in SHAPES
        if name != "system"
    }
    text = "\n".join(lines(found))
    assert said in text
    assert ("firmware of an earlier layout; last reset" in text) == earlier


@pytest.mark.parametrize("columns", [60, 0])
def test_doctor_breaks_its_report_at_blanks_at_a_terminal_alone(columns, tmp_path):
    long = "firmware in the image; last reset: power-on, which was some days ago, at midnight"
    found = {"port": "p", "system": {"failed": long}}
    found |= {name: {"skipped": "x"} for name in SHAPES if name != "system"}
    if columns:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    else:
        ours = os.open(os.devnull, os.O_RDONLY)
        theirs = os.open(tmp_path / "report", os.O_WRONLY | os.O_CREAT)
    with os.fdopen(theirs, "w") as screen:
        text = "\n".join(lines(found, screen=screen))
    os.close(ours)
    assert " ".join(f"system failed: {long}".split()) in " ".join(text.split())
    rows = text.splitlines()
    at = next(number for number, row in enumerate(rows) if row.startswith("system "))
    assert (rows[at].endswith("midnight")) == (columns == 0)
    if columns:
        assert max(map(len, rows)) <= columns
        assert rows[at + 1].startswith(" " * 17) and rows[at + 1][17] != " "


def looked_at(**found) -> list[str]:
    """What is to be looked at, where all else was not asked for."""
    blank = {name: {} for name in SHAPES} | {"port": "p", "system": dict(SYSTEM)}
    return remarks(blank | found)


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        ("ImportError: no module named 'board'", "no firmware, or not all of it"),
        ("ImportError: no module named 'sluice.journal'", "no firmware, or not all of it"),
        ("ImportError: can't import name File", "no firmware, or not all of it"),
        ("ImportError: no module named 'w800'", "this MicroPython has no module w800"),
        ("ValueError: ImportError", "slots failed"),
    ],
)
def test_doctor_names_the_module_that_is_missing_if_it_is_none_of_ours(raised, said):
    found = looked_at(slots={"failed": raised})
    assert found[0].startswith(said) and found.count("slots failed") == 1
    assert len(found) == 2 - (said == "slots failed")


class Raises:
    """A board on which all fails in one way."""

    def __init__(self, why: str):
        self._why = f'Traceback (most recent call last):\n  File "x"\n{why}\n'

    def value(self, call: str, silence_s: float) -> object:
        raise BoardRaised(self._why)


@pytest.mark.parametrize(
    ("why", "full"),
    [
        ("MemoryError: memory allocation failed, allocating 680 bytes", True),
        ("MemoryError: ", True),
        ("OSError: [Errno 12] ENOMEM", True),
        ("OSError: 12", True),
        ("OSError: (-12288, 'MBEDTLS_ERR_X509')", False),
        ("OSError: [Errno 112] EHOSTDOWN", False),
        ("ValueError: MemoryError", False),
    ],
)
def test_full_heap_is_told_from_other_failures(why, full):
    found = _asked(Raises(why), "handshake()")
    assert found == ({"skipped": TOO_LITTLE} if full else {"failed": why})


def test_file_system_that_is_small_is_not_called_full():
    assert SHAPES["file_speed"]({}) == [
        f"skipped: fewer than {SPARE:,} bytes of the file system are free"
    ]
    assert measuring.SPARE == SPARE


def test_doctor_dates_failures_by_the_boards_clock_if_that_was_set():
    kept = ["820000000 j 1 failed x", "12 stopped y", "damaged"]
    for epoch, year in ((2000, 2025), (1970, 1995)):
        found = {"port": "p", "slots": {"failed": "x"}}
        found |= {name: {"failed": "x"} for name in SHAPES if name not in found}
        found |= {"failures": kept, "system": SYSTEM | {"epoch": epoch}}
        said = [line[15:] for line in lines(found | {"clock": {"failed": "x"}})]
        dated = "2025-12-25 17:46:40 UTC" if year == 2025 else "clock not set"
        assert f"{dated}: j 1 failed x" in said
        assert "clock not set: stopped y" in said and "damaged" in said


def test_doctor_leaves_out_a_line_of_the_log_without_its_head():
    assert whole(["gent refused x", "W 12 agent refused y"]) == ["W 12 agent refused y"]
    assert whole(["W 1 tag x", "E 2 tag y"]) == ["W 1 tag x", "E 2 tag y"]
    assert whole([]) == [] and whole({"failed": "x"}) == {"failed": "x"}


FREE = {"last_blank": True, "trial": False, "image": None, "inactive": "ota_1"}
IDLE = {"phase": "idle"}


@pytest.mark.parametrize(
    ("slots", "journal", "flash", "reason"),
    [
        ({}, {}, False, ""),
        ({"image": ""}, {}, False, ""),  # an image that does not reach there
        ({"image": "1.0", "last_blank": False}, {}, False, "--flash measures anyway"),
        ({"image": "1.0", "last_blank": False}, {}, True, ""),
        ({"last_blank": False}, {}, False, ""),
        ({"image": "1.0", "last_blank": False, "trial": True}, {}, True, "on trial"),
        ({"trial": None}, {}, False, "not touched but by an update"),
        ({"trial": None}, {"phase": "activated"}, True, "a job is at hand"),
        ({"trial": None}, {}, True, ""),
        ({}, {"phase": "downloading"}, True, "a job is at hand"),
        ({}, {"phase": "activated"}, True, "a job is at hand"),
        ({"failed": "x"}, {}, True, "could not be read"),
        ({}, {"failed": "x"}, True, "could not be read"),
        ({"skipped": TOO_LITTLE}, {}, True, "could not be read"),
    ],
)
def test_flash_is_measured_only_where_no_image_can_be_lost(slots, journal, flash, reason):
    said = keeps_out(FREE | slots, IDLE | journal, flash)
    assert reason in said and bool(reason) == bool(said)
