"""The board's REPL after Ctrl-C: the verbs, and that the agent goes on where it was."""

import json
import re
import time

import pytest
from person import Person
from seat import GREEN, GREY
from sntp import packet, server
from stage import HEAP, SIZE, Stage, image, soon

from sluice import __version__
from sluice.device import provision
from sluice.device.supervisor import Board
from sluice.flash import contents
from sluice.image import pack_image

SMALL = 180_224  # bytes
SLOW_VERDICT = """
import asyncio

async def healthy():
    print("asked")
    await asyncio.sleep(%d)
    return True
"""


class Console:
    """A stage whose board has a serial port, and someone at it.

    flashed   the board has the agent in a tree, and none in its image
    """

    def __init__(self, scene: Stage, heap: str = HEAP, flashed: bool = False) -> None:
        self.scene = scene
        port = scene.folder / f"port-{scene.name}"
        bare = pack_image("", {}) if flashed else None
        scene.board = Board(scene.root, scene.name, heap=heap, link=port, factory=bare)
        if flashed:
            scene.board.make()
            with provision.mounted(scene.board.chip, scene.board.table) as root:
                for path, content in contents.firmware("SIM_ESP32").items():
                    with root.open(path, "wb") as file:
                        file.write(content)
        self.board = scene.power_on()
        self.person = Person(port)
        self.say = self.person.say

    def take_over(self) -> str:
        """Ctrl-C; the greeting."""
        return self.person.interrupt()

    def start(self) -> None:
        """`aws_job.start()`, until the agent waits for jobs."""
        seen = len(self.board.lines)
        self.say("aws_job.start()", b"soft reboot")
        self.board.wait_for("agent idle", after=seen)


@pytest.fixture
def console(cloud, stage):
    """A function: (**config) → a Console whose board waits for jobs."""
    made: list[Console] = []

    def make(heap: str = HEAP, where=cloud, flashed=False, **config) -> Console:
        made.append(Console(stage(where, **config), heap, flashed))
        return made[-1]

    yield make
    for one in made:
        one.person.close()


def test_ctrl_c_gives_the_verbs_and_start_gives_the_agent_back(console):
    desk = console(heap="112k")
    assert "aws_job.start()" in desk.take_over()
    said = desk.say("status()")
    assert f"thing     {desk.scene.name} at localhost" in said
    assert "firmware  1.0.0 in ota_0 confirmed" in said
    assert "SIM_ESP32, MicroPython 1." in said and "job       idle" in said
    assert desk.say("slots()") == "ota_0 1.0.0 runs, confirmed\nota_1 holds no image\n"
    assert "wifi.connect(ssid)" in desk.say("help()")
    assert "append" in desk.say("help([])")
    assert desk.say("aws_job") == "job       idle\n"

    echo = desk.scene.job({"operation": "echo", "text": "hello"})
    assert f"pending: {echo} queued operation text" in desk.say("aws_job.pending()")
    later = desk.scene.job({"operation": "echo", "text": "later"})
    said = desk.say("aws_job.pending()")
    assert said.count("pending: ") == 2 and said.index(echo) < said.index(later)
    assert f"'jobId': '{echo}'" in desk.say("aws_job.describe()")
    said = desk.say(f"aws_job.describe('{later}', number=1)")
    assert "'text': 'later'" in said and "'executionNumber': 1" in said
    assert "jobDocument" not in desk.say(f"aws_job.describe('{later}', document=False)")
    assert "ResourceNotFound" in desk.say("aws_job.describe('ghost')")
    assert {desk.scene.now(job).status for job in (echo, later)} == {"QUEUED"}
    desk.start()
    assert desk.scene.settled(later).status == "SUCCEEDED"
    desk.take_over()
    assert "nothing pending" in desk.say("aws_job.pending()")
    assert "none" in desk.say("aws_job.describe()")
    assert f"idle, {later} succeeded" in desk.say("aws_job.status()")


def test_prompt_of_a_board_whose_agent_is_in_a_tree_has_the_verbs_and_gives_it_back(console):
    desk = console(flashed=True)
    assert "aws_job.start()" in desk.take_over()
    said = desk.say("status()")
    assert f"agent     {__version__} in agent.a" in said and "job       idle" in said
    assert "wifi.connect(ssid)" in desk.say("help()")
    echo = desk.scene.job({"operation": "echo", "text": "hello"})
    desk.start()
    assert desk.scene.settled(echo).status == "SUCCEEDED"


@pytest.mark.parametrize("share", [0, 25, 60, 95])
def test_ctrl_c_in_mid_download_loses_nothing_but_a_checkpoint(console, share):
    """Wherever it strikes: in the stream, in a sector, in a record of the journal."""
    desk = console()
    scene, board = desk.scene, desk.board
    job = scene.deploy(image("1.1.0", SIZE))
    sectors = 359 * share // 100
    before = board.operations
    soon(lambda: board.operations > before + 2 * sectors)
    desk.take_over()
    assert job in desk.say("aws_job")
    slots = desk.say("slots()")
    assert "ota_0 1.0.0 runs, confirmed" in slots
    desk.say("aws_job.start()", b"soft reboot")
    assert scene.verdict(job).status == "SUCCEEDED", scene.tail
    assert scene.running == ("ota_1", "1.1.0")
    assert scene.trials == 1
    if "a download under way" in slots:
        kept = int(slots.split(" KiB")[0].rsplit(" ", 1)[1]) * 1024
        assert scene.had[-1] >= min(kept, SIZE)  # a sector that the image only begins counts whole


def test_ctrl_c_in_a_trial_is_the_watchdogs_to_end(console):
    desk = console(trial_s=30)
    scene, board = desk.scene, desk.board
    job = scene.deploy(image("1.1.0", SMALL, app=SLOW_VERDICT % 60))
    board.wait_for("^asked")
    said = desk.take_over()
    assert "The watchdog resets the board in 30 s, unless aws_job.start() is before." in said
    assert "1.1.0 is on trial: a reset takes it back" in said
    assert "ota_1 is on trial: reset() goes back" in desk.say("rollback(really=True)")
    verdict = scene.verdict(job)
    assert (verdict.status, verdict.reason) == (
        "FAILED",
        "rolled back: not confirmed in its trial",
    )
    assert "reset: watchdog" in board.lines
    assert scene.running == ("ota_0", "1.0.0")


def test_trial_that_ctrl_c_interrupted_goes_on_with_start(console):
    desk = console()
    job = desk.scene.deploy(image("1.1.0", SMALL, app=SLOW_VERDICT % 1))
    desk.board.wait_for("^asked")
    assert "1.1.0 is on trial" in desk.take_over()
    assert "ota_1 1.1.0 runs, on trial" in desk.say("slots()")
    desk.start()
    verdict = desk.scene.verdict(job)
    assert (verdict.status, verdict.reason) == ("SUCCEEDED", "accepted v1.1.0")
    assert desk.scene.trials == 1


def test_rollback_goes_back_only_to_what_ran_before_and_only_when_meant(console):
    desk = console()
    desk.take_over()
    assert desk.say("rollback(really=True)") == "ota_1 does not hold what ran before\n"
    desk.start()
    assert desk.scene.settled(desk.scene.deploy(image("1.1.0", SMALL))).status == "SUCCEEDED"
    desk.take_over()
    asked = desk.say("rollback()")
    assert asked == "ota_0 1.0.0 ran before\nrollback(really=True) resets the board into it\n"
    assert desk.scene.running == ("ota_1", "1.1.0")

    seen = len(desk.board.lines)
    desk.person.type(b"rollback(really=True)\r")
    desk.board.wait_for("boot: ota_0 1.0.0 trial", after=seen)
    desk.board.wait_for("agent idle", after=seen)
    desk.take_over()
    assert "ota_0 1.0.0 runs, confirmed\nota_1 1.1.0" in desk.say("slots()")


def test_platform_of_orders_is_not_asked(console):
    """To ask it would be to tell it something: that an order is paused, say."""
    desk = console(dialect="product")
    desk.take_over()
    for verb in ("pending", "describe"):
        assert desk.say(f"aws_job.{verb}()") == "a platform of orders cannot be asked\n"


def test_wifi_password_is_asked_for_and_never_shown(console):
    desk = console()
    desk.take_over()
    asked = desk.say('wifi.connect("net")', b"open network: ")
    desk.person.type(b"sesamx\x7fe open\r")
    said = asked + desk.person.read_until(b">>> ").decode()
    assert "joined, address" in said and "kept in /config.json" in said
    assert "sesam" not in said and not any("sesam" in line for line in desk.board.lines)
    assert "joined, address" in desk.say("wifi")
    desk.say('wifi.connect("guest", "", keep=False)')
    seen = len(desk.board.lines)
    desk.start()
    desk.board.wait_for("wifi joining net", after=seen)
    desk.board.stop()
    kept = json.loads(desk.board.read_file("/config.json"))["wifi"]
    assert kept == {"ssid": "net", "password": "sesame open"}


def test_ntp_asks_the_configured_servers_and_says_the_time(console):
    with server(lambda request: [packet(request, int(time.time()))]) as address:
        desk = console(ntp=[address])
        desk.take_over()
        said = desk.say("ntp.start()")
    assert f"server 0 {address}" in said
    assert time.strftime("time      %Y-%m-%d", time.gmtime()) in said


def test_console_command_shows_the_agent_in_colour_and_its_verbs_set_the_log_level(console, seat):
    """As it is typed: `sluice console`, on a terminal."""
    with server(lambda request: [packet(request, int(time.time()))]) as address:
        desk = console(ntp=["127.0.0.1:1", address])  # nobody is at the first
        person = seat(desk.board.link)
        person.read_until(b"leaves")
        person.type(b"\x03")
        assert b"aws_job.start()" in person.read_until(b">>> ")
        assert f"thing     {desk.scene.name} at localhost" in person.say("status()")
        assert "I\r\n" in person.say("log()")
        assert "one of E W I D" in person.say('log("X")') + person.say("log(5)")
        assert "kept in /config.json" in person.say('log("D")')
        shown = person.say("ntp.start()").encode()
    assert re.search(re.escape(GREY) + rb"D \d+ clock 127.0.0.1:1 [^\r]+\x1b\[0m\r", shown), shown
    shown = person.say("aws_job.start()", b"agent idle").encode()
    assert re.search(re.escape(GREEN) + rb"I \d+ agent boot [^\r]+\x1b\[0m\r", shown), shown

    person.type(b"\x03")
    person.read_until(b">>> ")
    assert "kept in /config.json" in person.say('log("E")')
    seen = len(desk.board.lines)
    person.say("aws_job.start()", b"soft reboot")
    echo = desk.scene.job({"operation": "echo", "text": "hello"})
    assert desk.scene.verdict(echo).status == "SUCCEEDED"
    assert not [line for line in desk.board.lines[seen:] if line[:2] in ("I ", "D ")]
    person.type(b"\x1d")
    assert person.end() == 0


def test_board_that_cannot_start_says_why_and_ctrl_c_brings_the_console(cloud, stage):
    scene = stage(cloud)
    (scene.files / "config.json").write_text('{"thing": "x"}')
    port = scene.folder / "port"
    scene.board = Board(scene.root, scene.name, heap=HEAP, link=port).start()
    scene.board.wait_for("cannot start: config lacks ca")
    scene.board.wait_for("Ctrl-C is for the prompt")
    person = Person(port)
    assert "aws_job.start()" in person.interrupt()
    assert "no configuration: config lacks ca" in person.say("status()")
    assert "kept in /config.json" in person.say('log("D")')
    person.close()
    scene.board.stop()
    kept = json.loads(scene.board.read_file("/config.json"))
    assert kept["log"] == "D" and "ca" not in kept
