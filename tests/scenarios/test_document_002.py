"""Document 002: the W800's demo of AWS jobs, its whole conversation, with the real broker.

What its log shows is spoken twice: once word for word, by a client that behaves as the demo does,
so that the cloud is proven; once by our board, which differs where the demo is wrong: it does not
say SUCCEEDED for a job that it did not understand, nor before the reboot that was asked for.
"""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from person import Person
from sntp import packet, server
from spy import Spy
from stage import HEAP, Stage, soon

from sluice.device.supervisor import Board

VECTORS = Path(__file__).parents[1] / "vectors/002_w800_jobs.json"
RECORDED = {message["name"]: message for message in json.loads(VECTORS.read_text())["messages"]}
NOT_OURS = {"afr_ota": {"protocols": ["LoRaWAN"], "files": [{"filesize": 1}]}}
# AWS-Reboot, a managed template: under the job id `reboot` its notice is as long as the recorded.
HANDLER = {"handler": "reboot.sh", "path": ""}
ACTION = {"name": "Reboot", "type": "runHandler", "input": HANDLER, "runAsUser": ""}
REBOOT = {"version": "1.0", "steps": [{"action": ACTION}]}
APPLICATION = """
import asyncio

async def main(link):
    link.keepalive = 2  # seconds, from now on: a ping after one of silence
    send = link.send

    def watched(data):
        if bytes(data) == b"\\xc0\\x00":
            print("PINGREQ")
        return send(data)

    link.send = watched
    while True:
        while link.pinged is None:
            await asyncio.sleep_ms(10)
        while link.pinged is not None:
            await asyncio.sleep_ms(10)
        print("PINGRESP")
"""


class Demo(Spy):
    """A client that hears all of its thing's jobs, and notes how large each message was."""

    def __init__(self, stage: Stage) -> None:
        self.sizes: list[tuple[str, int, int]] = []  # topic, bytes of payload, QoS
        super().__init__(stage)

    def _subscribe(self, client, userdata, flags, reason, properties) -> None:
        client.subscribe(self._prefix + "jobs/#", 1)

    def _hear(self, client, userdata, message) -> None:
        topic = message.topic.removeprefix(self._prefix)
        self.sizes.append((topic, len(message.payload), message.qos))
        super()._hear(client, userdata, message)

    def wait(self, topic: str, after: int = 0) -> dict[str, Any]:
        """The next message on that topic."""
        return soon(lambda: [body for t, body in self.heard[after:] if t == topic])[0]


@pytest.fixture
def demo(cloud, stage):
    """(scene, client) of a thing whose board is off."""
    scene = stage(cloud)
    client = Demo(scene)
    yield scene, client
    client.close()


def recorded(name: str) -> tuple[str, bytes]:
    """The topic below the thing's, and the payload, of a recorded publication."""
    message = RECORDED[name]
    return message["topic"].split("/", 3)[3], message["payload"].encode()


def test_demo_speaks_word_for_word_with_the_cloud(demo):
    scene, client = demo
    scene.job(NOT_OURS, "AFR_OTA-3")
    client.say(*recorded("start"))  # empty
    started = client.wait("jobs/start-next/accepted")["execution"]
    assert (started["jobId"], started["status"]) == ("AFR_OTA-3", "IN_PROGRESS")
    assert started["jobDocument"] == NOT_OURS
    client.say(*recorded("succeeded"))
    assert client.wait("jobs/AFR_OTA-3/update/accepted").keys() == {"timestamp"}
    soon(lambda: ("jobs/notify-next", RECORDED["nothing"]["payload_bytes"], 1) in client.sizes)
    updated = RECORDED["updated"]
    assert ("jobs/AFR_OTA-3/update/accepted", updated["payload_bytes"], 0) in client.sizes

    seen = len(client.heard)
    scene.job(REBOOT, "reboot")
    notice = client.wait("jobs/notify-next", seen)["execution"]
    assert (notice["jobId"], notice["jobDocument"]) == ("reboot", REBOOT)
    assert ("jobs/notify-next", RECORDED["reboot"]["payload_bytes"], 1) in client.sizes
    client.say(*recorded("rebooted"))
    assert client.wait("jobs/reboot/update/accepted").keys() == {"timestamp"}
    assert scene.now("reboot").status == "SUCCEEDED"


def test_board_walks_the_whole_conversation(demo):
    scene, client = demo
    scene.board.make()
    scene.board.write_file("/app.py", APPLICATION.encode())
    foreign = scene.job(NOT_OURS)  # as in the log: it waits for the board to come
    board = scene.power_on()

    verdict = scene.verdict(foreign)
    assert verdict.status == "REJECTED" and "neither mqtt nor http" in verdict.reason
    said = [body for topic, body in client.heard if topic == "jobs/notify-next"]
    assert said[-1].keys() == {"timestamp"}

    board.wait_for("^PINGREQ$")
    board.wait_for("^PINGRESP$")
    assert board.lines.count("reset: machine.reset") == 0

    reboot = scene.job(REBOOT)
    verdict = scene.verdict(reboot)
    assert (verdict.status, verdict.reason) == ("SUCCEEDED", "rebooted"), scene.tail
    assert board.lines.count("reset: machine.reset") == 1
    told = [body for topic, body in client.heard if topic == f"jobs/{reboot}/update"]
    assert [body["status"] for body in told] == ["IN_PROGRESS", "SUCCEEDED"]
    assert told[0]["statusDetails"] == {"step": "rebooting"}


def test_reboot_job_handed_out_again_does_not_reboot_again(demo):
    scene, client = demo
    board = scene.power_on()
    reboot = scene.job(REBOOT)
    [notice] = soon(lambda: client.notices)
    assert scene.verdict(reboot).status == "SUCCEEDED"
    board.wait_for("agent idle", after=board.lines.index("reset: machine.reset"))
    notice["execution"]["status"] = "IN_PROGRESS"
    for _ in range(2):
        seen = len(board.lines)
        client.say("jobs/notify-next", notice)
        board.wait_for("ACCEPTING known", after=seen)
        board.wait_for("agent idle", after=seen)
    assert board.lines.count("reset: machine.reset") == 1
    assert scene.now(reboot).status == "SUCCEEDED"


@pytest.mark.parametrize("operation", [1, 2, 4, 6])
def test_reboot_job_with_the_power_cut_in_its_note_is_done_once_and_told(demo, operation):
    scene, _ = demo
    board = scene.power_on()
    board.cut_after(operation, "front")
    reboot = scene.job(REBOOT)
    verdict = scene.verdict(reboot)
    assert (verdict.status, verdict.reason) == ("SUCCEEDED", "rebooted"), scene.tail
    assert board.lines.count("power: cut") == 1
    assert board.lines.count("reset: machine.reset") <= 1


def test_reboot_job_withdrawn_before_the_board_came_is_nothing_to_do(demo):
    scene, _ = demo
    reboot = scene.job(REBOOT)
    scene.cancel(reboot)
    board = scene.power_on()
    assert board.lines.count("reset: machine.reset") == 0
    assert scene.now(reboot).status == "CANCELED"


def test_console_steps_of_the_document_are_verbs_at_the_repl(demo):
    """wifi connect, ntp start, ntp, aws_job; then a reboot job, as its log shows them."""
    scene, _ = demo
    port = scene.folder / "port"
    with server(lambda request: [packet(request, int(time.time()))]) as address:
        scene.configure(ntp=[address])
        scene.board = Board(scene.root, scene.name, heap=HEAP, link=port)
        board = scene.power_on()
        person = Person(port)
        greeting = person.interrupt()
        steps = ("help()", "wifi.connect(ssid)", "ntp.start()", "aws_job.start()")
        places = [greeting.index(step) for step in steps]
        assert places == sorted(places)  # in this order

        asked = person.say('wifi.connect("61test")', b"open network: ")
        person.type(b"12345678\r")
        joined = asked + person.read_until(b">>> ").decode()
        assert "wifi joined" in joined and "12345678" not in joined
        assert f"server 0 {address}" in person.say("ntp.start()")
        assert time.strftime("%Y-%m-%d ", time.gmtime()) in person.say("ntp")
        foreign = scene.job(NOT_OURS)
        assert f"pending: {foreign} queued afr_ota" in person.say("aws_job.pending()")

        seen = len(board.lines)
        person.say("aws_job.start()", b"soft reboot")
        board.wait_for("wifi joining 61test", after=seen)
        assert scene.verdict(foreign).status == "REJECTED"
        reboot = scene.job(REBOOT)
        verdict = scene.verdict(reboot)
    assert (verdict.status, verdict.reason) == ("SUCCEEDED", "rebooted"), scene.tail
    assert board.lines.count("reset: machine.reset") == 1
    person.close()
