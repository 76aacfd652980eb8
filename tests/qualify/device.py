"""The device under test: a simulated board with an application that does what a case looks for."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from certificates import Authority
from endpoint import Endpoint

from sluice.device.supervisor import Board

NAME = "qualify"
HOST = "localhost"
TRIGGER, WILL = "qualify/trigger", "qualify/will"
APP = '''
from asyncio import sleep_ms

from sluice.errors import Retry
from sluice.log import Log

log = Log("app")


class Count:
    """Takes messages of any length, piece by piece."""

    def begin(self, topic, size):
        self.size = 0

    def feed(self, buf, at, end):
        self.size += end - at

    def end(self):
        log.i("heard", self.size)


async def main(link):
    link.set_last_will("qualify/will", "gone", False, 1)
    while True:
        try:
            await link.subscribe("qualify/trigger", Count(), 1)
            break
        except Retry:
            await sleep_ms(200)
    await told(lambda: link.deliver("qualify/qos1", "hello"))
    link.publish("qualify/qos0", "hello")
    link.publish("qualify/retained", "kept", True)
    log.i("all said")


async def told(saying):
    while True:
        try:
            return await saying()
        except Retry:
            await sleep_ms(200)
'''


@contextlib.contextmanager
def board(
    folder: Path, authority: Authority, endpoint: Endpoint, **config: Any
) -> Iterator[Board]:
    """A board that connects to that endpoint; on as long as `with` lasts."""
    files = folder / "state/things" / NAME
    files.mkdir(parents=True)
    own = authority.issue(NAME)
    settings = {
        "thing": NAME, "endpoint": HOST, "port": endpoint.port, "ca": "/ca.pem",
        "certificate": "/certificate.pem", "private_key": "/key.pem", "signers": [],
        "report_version": "", "keepalive_s": 30, **config,
    }  # fmt: skip
    (files / "config.json").write_text(json.dumps(settings))
    (files / "ca.pem").write_bytes(authority.ca)
    (files / "certificate.pem").write_bytes(own.certificate)
    (files / "key.pem").write_bytes(own.key)
    (files / "app.py").write_text(APP)
    made = Board(folder / "state", NAME)
    made.start()
    try:
        yield made
    finally:
        made.stop()
        made.flash.release()
        (made.home / "flash.bin").unlink(missing_ok=True)
