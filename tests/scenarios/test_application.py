"""The application beside the agent: it shares the session, holds back resets, judges images."""

import subprocess
import sys
from pathlib import Path

import pytest
from pages import blocks
from patience import FUSE_S
from shadows import reported
from stage import Cloud, Stage, image, soon
from typed import complaint, good

from sluice.compile import ROOT
from sluice.image.modules import EXAMPLE

SMALL = 180_224  # bytes
GAP_MS = 5_000  # between two turns of the application: whether it lives, not how fast

HOLDS = """
import asyncio
from sluice.log import Log
held_ms = {held_ms}
async def before_reset():
    Log("app").i("asked")
    {first}
    await asyncio.sleep_ms(held_ms)
    Log("app").i("lets go")
"""

FAILS = """
async def main(link):
    raise ValueError("pump")
"""

HOARDS = """
import asyncio
hoard = []
async def main(link):
    await asyncio.sleep(2)
    size = 4096
    while size:
        try:
            hoard.append(bytearray(size))
        except MemoryError:
            size //= 2
    print("app hoards")  # a constant: the last line that needs no room
"""

FILLS = """
    chain = None
    try:
        while True:
            chain = hoard[0] = [chain]
    except MemoryError:
        pass
"""

LIVES = """
from time import ticks_diff, ticks_ms
longest = 0
async def main(link):
    global longest
    last = ticks_ms()
    while True:
        await asyncio.sleep_ms(0)
        now = ticks_ms()
        longest, last = max(longest, ticks_diff(now, last)), now
"""
TELLS = 'Log("app").i("longest", longest)'


def powered(stage, cloud: Cloud, app: str | Path, **config) -> Stage:
    """A board whose first image carries that application."""
    scene = stage(cloud, **config)
    board = type(scene.board)(
        scene.root, scene.name, heap="160k", factory=image("1.0.0", None, app=app)
    )
    scene.board = board
    scene.power_on()
    return scene


def holding(held_ms: int, first: str = "pass") -> str:
    """An application that holds back a reset for so long; `first` is what it does before."""
    return HOLDS.format(held_ms=held_ms, first=first)


def index(scene: Stage, text: str) -> int:
    """Where the first line with that text stands in what the board said."""
    return next(at for at, line in enumerate(scene.board.lines) if text in line)


def test_update_waits_for_the_application_and_stays_truthful_meanwhile(cloud, stage, spy):
    scene = powered(stage, cloud, holding(3_000, TELLS) + LIVES)
    ears = spy(scene)
    job = scene.deploy(image("1.1.0", SMALL))
    scene.board.wait_for("hold the application holds the reset")
    assert scene.now(job).status == "IN_PROGRESS"
    assert scene.now(job).details["self_test"] == "ready"
    assert scene.verdict(job).status == "SUCCEEDED", scene.tail
    assert index(scene, "app lets go") < index(scene, "ACTIVATING ready")
    gap = scene.board.lines[index(scene, "app longest")].split()[-1]
    assert 0 < int(gap) < GAP_MS, "the application had no turn for so long"
    assert ears.accepted("SUCCEEDED") == 1
    assert sum("mqtt linked" in line for line in scene.board.lines) == 2  # the link was kept


def test_update_held_back_too_long_goes_on_and_the_log_says_so(cloud, stage):
    scene = powered(stage, cloud, holding(60_000), hold_s=1)
    job = scene.deploy(image("1.1.0", SMALL))
    assert scene.verdict(job).status == "SUCCEEDED", scene.tail
    scene.board.wait_for("W .* hold held back long enough")
    assert not any("app lets go" in line for line in scene.board.lines)


@pytest.mark.parametrize("first", ["raise ValueError('no')", "raise asyncio.CancelledError"])
def test_update_goes_on_when_the_hook_fails(cloud, stage, first):
    scene = powered(stage, cloud, holding(0, first))
    assert scene.verdict(scene.deploy(image("1.1.0", SMALL))).status == "SUCCEEDED", scene.tail
    scene.board.wait_for("hold before_reset failed:")


def test_update_cancelled_while_it_is_held_back_is_not_applied(cloud, stage):
    scene = powered(stage, cloud, holding(60_000), hold_s=20)
    job = scene.deploy(image("1.1.0", SMALL))
    board = scene.board
    board.wait_for("hold the application holds the reset")
    scene.cancel(job, "--force")
    board.wait_for("agent ACTIVATING gone")
    # the application is not broken off in what it does before a reset
    assert index(scene, "hold held back long enough") < index(scene, "ACTIVATING gone")
    board.wait_for("agent idle", after=index(scene, "ACTIVATING gone"))
    assert scene.running[0] == "ota_0" and not scene.trials
    board.cut_power()
    soon(lambda: len(scene.starts) == 2, FUSE_S)
    assert scene.running[0] == "ota_0"


def test_reboot_cancelled_while_it_is_held_back_does_not_happen(cloud, stage):
    scene = powered(stage, cloud, holding(60_000), hold_s=20)
    job = scene.job({"operation": "reboot"})
    scene.board.wait_for("hold the application holds the reset")
    scene.cancel(job, "--force")
    scene.board.wait_for("hold held back long enough")
    scene.board.wait_for("agent idle", after=index(scene, "held back long enough"))
    assert scene.now(job).status == "CANCELED"
    assert "reset: machine.reset" not in scene.board.lines and len(scene.starts) == 1


FORGES = """
import asyncio
TEXT = "bad\\r\\nE 1 main forged\\x1b[2J"
async def strays():
    raise ValueError(TEXT)
async def main(link):
    asyncio.create_task(strays())
    await asyncio.sleep_ms(100)
    raise ValueError(TEXT)
"""


def test_exceptions_of_the_application_forge_no_line_and_move_no_terminal(cloud, stage):
    scene = powered(stage, cloud, FORGES)
    assert scene.verdict(scene.job({"operation": "echo"})).status == "SUCCEEDED", scene.tail
    said = [line for line in scene.board.lines if "forged" in line]
    assert [line.split()[2:5] for line in said if " main " in line[:20]] == [
        ["main", "task", "failed"],
        ["main", "application", "failed"],
    ]
    assert said.count(r"ValueError: bad\x0d\x0aE 1 main forged\x1b[2J") == 2, said
    assert not [line for line in scene.board.lines if line.startswith("E 1 ") or "\x1b" in line]


def test_update_asks_nobody_where_hold_s_is_none_and_needs_no_application_that_runs(cloud, stage):
    scene = powered(stage, cloud, holding(60_000) + FAILS, hold_s=0)
    scene.board.wait_for("main application failed ValueError")
    assert scene.verdict(scene.deploy(image("1.1.0", SMALL))).status == "SUCCEEDED", scene.tail
    assert not any("app asked" in line for line in scene.board.lines)


@pytest.mark.parametrize("app", [HOARDS, HOARDS + FILLS], ids=["most", "all"])
def test_board_whose_application_takes_the_whole_heap_begins_anew_and_not_at_the_prompt(
    cloud, stage, app
):
    scene = powered(stage, cloud, app)
    scene.board.wait_for("app hoards")
    job = scene.job({"operation": "echo"})
    assert scene.verdict(job).status == "SUCCEEDED", scene.tail  # before it takes it again
    assert "reset: machine.reset" in scene.board.lines


def test_reboot_waits_for_the_application_and_happens_once(cloud, stage):
    scene = powered(stage, cloud, holding(1_000))
    verdict = scene.verdict(scene.job({"operation": "reboot"}))
    assert (verdict.status, verdict.reason) == ("SUCCEEDED", "rebooted")
    assert index(scene, "app lets go") < index(scene, "reset: machine.reset")
    assert scene.board.lines.count("reset: machine.reset") == 1


LATER = """
import asyncio
async def main(link):
    await asyncio.sleep(2)
    raise ValueError("pump")
"""


def test_failure_of_the_application_is_told_soon(cloud, stage):
    scene = powered(stage, cloud, LATER)
    scene.board.wait_for("application failed")
    soon(lambda: "application failed" in str(reported(scene).get("failures")), FUSE_S)
    shown = good("thing", "show", scene.name, "--state", scene.root)
    assert "the application failed: ValueError('pump',)" in shown
    assert "application  no version, failed" in shown
    assert scene.name in good("fleet", "--failed", "--state", scene.root)
    assert " whose application failed" in good("fleet", "--state", scene.root)


UNABLE = {"lacks a module": "import nothing\n", "ends": "async def main(link):\n    pass\n"}


@pytest.mark.parametrize("why", UNABLE)
def test_application_that_does_not_run_is_told_at_the_first_connect(cloud, stage, why):
    scene = powered(stage, cloud, UNABLE[why])
    state = "ended" if why == "ends" else "failed"
    soon(lambda: reported(scene).get("app_state") == state, FUSE_S)
    kept = [text for text in reported(scene).get("failures", ()) if "application failed" in text]
    assert len(kept) == (state == "failed")


# -- the examples ---------------------------------------------------------------------------------


def test_example_of_the_page_tells_its_reading(cloud, stage, spy):
    (source, *_) = blocks((ROOT / "docs/application.md").read_text(), "python")
    scene = powered(stage, cloud, source)
    topic = f"sluice/{scene.name}/reading"
    ears = spy(scene)
    ears.listen(topic)
    soon(lambda: (topic, {"level": 42}) in list(ears.heard), FUSE_S)


def test_example_tells_readings_and_obeys_commands(cloud, stage, spy):
    scene = powered(stage, cloud, EXAMPLE)
    ears = spy(scene)
    where = f"sluice/{scene.name}"
    ears.listen(f"{where}/reading")
    ears.tell(f"{where}/command", {"every_s": 0})
    scene.board.wait_for("handler failed ValueError")
    ears.tell(f"{where}/command", {"every_s": 1})
    scene.board.wait_for("app every 1")

    def readings() -> list[dict]:
        return [body for topic, body in list(ears.heard) if topic == f"{where}/reading"]

    soon(lambda: len(readings()) >= 3, FUSE_S)
    counts = [body["count"] for body in readings()]
    assert counts == list(range(counts[0], counts[0] + len(counts)))
    assert all(0 < body["free"] < 160_000 for body in readings())
    assert sum("mqtt linked" in line for line in scene.board.lines) == 1  # one TLS session
    scene.board.stop()


def test_example_runs_beside_an_update_of_full_size_with_a_heap_of_80_kb(cloud, stage):
    """With all code in it; the demo has it frozen into the image."""
    scene = stage(cloud)
    scene.board = type(scene.board)(
        scene.root, scene.name, heap="112k", factory=image("1.0.0", None, app=EXAMPLE)
    )
    board = scene.power_on()
    job = scene.deploy(image("1.1.0", app=EXAMPLE))
    assert scene.verdict(job).status == "SUCCEEDED", scene.tail
    assert any("app reading" in line for line in board.lines[index(scene, " trial") :])
    assert scene.fits, scene.tail


@pytest.mark.parametrize("board", ["SIM_ESP32", "SIM_W800"])
def test_new_board_runs_an_application_and_a_flashed_one_keeps_its_own(
    cloud, stage, tmp_path, board
):
    scene = stage(cloud)
    scene.board = type(scene.board)(scene.root, scene.name, board=board)
    line = ("device", "run", scene.name, "--state", scene.root, "--board", board, "--app")
    assert "no such file" in complaint(*line, tmp_path / "none.py")
    command = [sys.executable, "-m", "sluice.cli", *map(str, line), str(EXAMPLE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert any("app reading 1" in text for text in running.stdout)
            assert (scene.board.home / "rom.bin").exists() == (board == "SIM_W800")
        finally:
            running.terminate()
    assert "has an image already" in complaint(*line, EXAMPLE)
