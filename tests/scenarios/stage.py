"""The whole system for one test: the cloud's process, Mosquitto, a thing, and its board.

Everything lies under the folder given to it.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from patience import FUSE_S
from typed import good

from sluice.cloud.names import arn
from sluice.cloud.state import State
from sluice.commands import deploy
from sluice.device import provision
from sluice.device.supervisor import Board
from sluice.fleet.clients import Clients, clients
from sluice.image import make_image
from sluice.signing import load_key, sign_base64

HEAP = "112k"  # of the board's MicroPython, with all code loaded into it
SIZE = 1_468_006  # bytes, 1.4 MiB
SLOT = 1_568_768  # bytes that an image may have in a slot of SIM_ESP32
CHECKPOINT = 65_536  # bytes between two journal records of a download
CHANGED = "the faults are others now"  # the cloud's line
FINAL = ("SUCCEEDED", "FAILED", "REJECTED", "TIMED_OUT", "CANCELED", "REMOVED")


def soon(what: Callable[[], Any], deadline_s: float = FUSE_S) -> Any:
    """What `what` returns once that is true; AssertionError at the deadline."""
    limit = time.monotonic() + deadline_s
    while time.monotonic() < limit:
        found = what()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {deadline_s} s: {what}")


class Cloud:
    """`sluice cloud run` as a process of its own, on free ports that a restart keeps; with more
    words on its command line."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.state = State(folder)
        self._words = words
        self.faults = folder.parent / f"{folder.name}-faults.json"
        self._log = folder.parent / f"{folder.name}.log"
        self._process: subprocess.Popen | None = None
        self._ports = ("--port", "0", "--http-port", "0")

    def start(self, faults: dict[str, Any] | None = None) -> "Cloud":
        """Start it and wait until it is ready; `faults` as in host_tools/cloud/faults.py."""
        words = [*self._ports, "--state", str(self.state.root), *self._words]
        if faults is not None:
            self.faults.write_text(json.dumps(faults))
            words += ["--faults", str(self.faults)]
        self.state.ready.unlink(missing_ok=True)  # of a cloud that was killed
        with self._log.open("a") as log:
            command = [sys.executable, "-m", "sluice.cli", "cloud", "run", *words]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        limit = time.monotonic() + FUSE_S
        while not self.state.ready.exists():
            assert self._process.poll() is None and time.monotonic() < limit, self.said
            time.sleep(0.02)
        self._ports = ()  # from now on those of the last run
        return self

    def change(self, faults: dict[str, Any]) -> None:
        """Other faults, from now on: returns when the cloud has read them."""
        text, told = json.dumps(faults), self.said.count(CHANGED)
        if self.faults.read_text() != text:
            self.faults.write_text(text)
            soon(lambda: self.said.count(CHANGED) > told)

    @property
    def said(self) -> str:
        """What it has printed."""
        return self._log.read_text()

    def kill(self) -> None:
        """End it at once, as kill -9 does, and Mosquitto with it."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order, if it runs."""
        if self._process:
            self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        self._process.send_signal(number)
        self._process.wait(timeout=FUSE_S)
        self._process = None

    def kill_broker(self) -> None:
        """End Mosquitto alone; the cloud starts it again."""
        self._signal_broker(signal.SIGKILL)

    def _signal_broker(self, number: int) -> None:
        children = f"/proc/{self._process.pid}/task/{self._process.pid}/children"
        [broker] = Path(children).read_text().split()
        os.kill(int(broker), number)

    def overhear(self) -> None:
        """From now on Mosquitto notes every packet, for `packets`."""
        settings, log = self.state.broker / "mosquitto.conf", self._packets
        settings.write_text(f"log_type debug\n{settings.read_text()}")
        before = len(log.read_text())

        def remarks() -> bool:
            self._signal_broker(signal.SIGHUP)  # again, as one may be forgotten
            return "message_size_limit" in log.read_text()[before:]

        soon(remarks)

    @property
    def _packets(self) -> Path:
        return self.state.broker / "mosquitto.log"

    def packets(self, thing: str) -> dict[str, set[str]]:
        """What a thing did: {action of AWS's policies: topics or topic filters}."""
        lines = self._packets.read_text(errors="replace").splitlines()
        found: dict[str, set[str]] = {"Publish": set(), "Receive": set(), "Subscribe": set()}
        for line, after in zip(lines, lines[1:], strict=False):
            topic = line.partition(", '")[2].partition("',")[0]
            if f"Received PUBLISH from {thing} " in line:
                found["Publish"].add(topic)
            elif f"Sending PUBLISH to {thing} " in line:
                found["Receive"].add(topic)
            elif line.endswith(f"Received SUBSCRIBE from {thing}"):
                found["Subscribe"].add(after.partition("\t")[2].partition(" (QoS")[0])
        return found

    @cached_property
    def calls(self) -> Clients:
        """boto3's clients of it."""
        return clients(self.state)

    def credentials(self, thing: str, folder: Path) -> tuple[Path, Path]:
        """Certificate and key, in files, of someone else who speaks for a thing: under any client
        id, and on any topic."""
        iot = self.calls.iot
        made = iot.create_keys_and_certificate(setAsActive=True)
        iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
        statement = {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": statement})
        with suppress(iot.exceptions.ResourceAlreadyExistsException):
            iot.create_policy(policyName="everything", policyDocument=document)
        iot.attach_policy(policyName="everything", target=made["certificateArn"])
        name = made["certificateId"][:8]
        files = folder / f"{name}.crt", folder / f"{name}.key"
        files[0].write_text(made["certificatePem"])
        files[1].write_text(made["keyPair"]["PrivateKey"])
        return files

    def forget(self, thing: str) -> None:
        """Remove a thing with all that is of it, so that its name may be used again."""
        iot = self.calls.iot
        for principal in iot.list_thing_principals(thingName=thing)["principals"]:
            iot.detach_thing_principal(thingName=thing, principal=principal)
        iot.delete_thing(thingName=thing)
        for kind in ("things", "devices"):
            shutil.rmtree(self.state.root / kind / thing, ignore_errors=True)

    def stage(self, folder: Path, **config: Any) -> "Stage":
        """A new thing of its own, and the board to it."""
        return Stage(self, f"thing-{uuid.uuid4().hex[:8]}", folder, **config)


@dataclass(frozen=True)
class Verdict:
    """How a job ended, as the cloud has it."""

    status: str
    details: dict[str, str]

    @property
    def reason(self) -> str:
        """The reason given; "" without one."""
        return self.details.get("reason", "")


class Stage:
    """One thing on a cloud: its board, and jobs for it.

    name     of the thing
    folder   for images and documents
    config   members of the board's config.json that differ from what `thing create` writes
    """

    def __init__(self, cloud: Cloud, name: str, folder: Path, **config: Any) -> None:
        self.cloud, self.name, self.folder = cloud, name, folder
        self.root = cloud.state.root
        good("thing", "create", name, "--state", self.root)
        self.files = cloud.state.thing(name)
        self.configure(**config)
        self.board = Board(self.root, name, heap=HEAP)

    def configure(self, **changes: Any) -> None:
        """Change the thing's config.json; the board gets it with its next power-on."""
        file = self.files / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"report_s": 1} | changes))

    def equip(self, name: str, source: str) -> None:
        """Put an operation of the user's own on the board, which is off."""
        self.board.make()
        with provision.mounted(self.board.chip, self.board.table) as files:
            files.makedirs("/operations", exist_ok=True)
            with files.open(f"/operations/{name}.py", "wb") as file:
                file.write(source.encode())

    def power_on(self) -> Board:
        """Switch the board on and wait until it waits for jobs."""
        seen = len(self.board.lines)
        self.board.start()
        self.board.wait_for("agent idle", after=seen)
        return self.board

    def fuse(self, operation: int, part: str) -> None:
        """Have the power fail once, at that flash operation from power-on."""
        self.board = Board(self.root, self.name, heap=HEAP, cut_at=operation, cut_part=part)

    # --- jobs -----------------------------------------------------------------------------------

    def deploy(self, image: bytes, *flags: str, **options: Any) -> str:
        """`sluice deploy`; the job's id."""
        words = [word for pair in options.items() for word in (f"--{pair[0]}", pair[1])]
        words += flags
        line = ("deploy", self.file(image), "--thing", self.name, "--state", self.root, *words)
        return good(*line).strip()

    def file(self, image: bytes) -> Path:
        """The image in a file."""
        path = self.folder / f"image-{uuid.uuid4().hex[:8]}.bin"
        path.write_bytes(image)
        return path

    def signature(self, image: bytes) -> str:
        """The base64 of the signature that the board's signer would give."""
        return sign_base64(self.file(image), load_key(self.cloud.state.signer_key))

    def stream(self, image: bytes, name: str | None = None) -> str:
        """Make a stream of the image; its name."""
        name = name or f"stream-{uuid.uuid4().hex[:8]}"
        where = deploy.upload(self.cloud.calls, self.file(image), deploy.BUCKET)
        files = [{"fileId": 0, "s3Location": where}]
        self.cloud.calls.iot.create_stream(streamId=name, files=files, roleArn=deploy.ROLE)
        return name

    def document(self, image: bytes, order: dict | None = None, **changes: Any) -> dict:
        """A job document for the image like the service's own; None takes a member away.

        order     changes to the document's `afr_ota`
        changes   changes to its only file
        """
        file = {
            "filepath": "app.bin",
            "filesize": len(image),
            "fileid": 0,
            "certfile": "signer.crt",
            "sig-sha256-ecdsa": self.signature(image),
        }
        ota = {"protocols": ["MQTT"], "streamname": (order or {}).get("streamname")}
        ota["streamname"] = ota["streamname"] or self.stream(image)
        ota["files"] = [_changed(file, {key.replace("_", "-"): changes[key] for key in changes})]
        return {"afr_ota": _changed(ota, order or {})}

    def job(self, document: dict | str, name: str | None = None) -> str:
        """`sluice job create` with that document; the job's id."""
        path = self.folder / f"document-{uuid.uuid4().hex[:8]}.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        line = ("job", "create", "--thing", self.name, "--document", path, "--any")
        return good(*line, "--state", self.root, *(("--id", name) if name else ())).strip()

    def cancel(self, job: str, *words: str) -> None:
        """`sluice job cancel`."""
        good("job", "cancel", job, "--state", self.root, *words)

    def now(self, job: str) -> Verdict:
        """How the job stands; there is one execution of it, whatever happened."""
        about = json.loads(good("job", "show", job, "--state", self.root, "--json"))
        [execution] = about["executions"]
        assert execution["executionNumber"] == 1
        return Verdict(execution["status"], execution["statusDetails"])

    def verdict(self, job: str, deadline_s: float = FUSE_S) -> Verdict:
        """How the job ended, as soon as the cloud knows."""
        limit = time.monotonic() + deadline_s
        while time.monotonic() < limit:
            if self._status(job) in FINAL:
                return self.now(job)
            assert self.board.alive, self.tail
            time.sleep(0.1)
        raise AssertionError(f"{job} is still {self.now(job)}:\n{self.tail}")

    def _status(self, job: str) -> str:
        """The same in one request, as it is asked again and again: `job show` makes four."""
        found = self.cloud.calls.iot.describe_job_execution(jobId=job, thingName=self.name)
        return found["execution"]["status"]

    def settled(self, job: str) -> Verdict:
        """How the job ended, once the board has heard that the cloud knows, and is idle again."""
        verdict = self.verdict(job)
        soon(lambda: "agent idle" in self._since("agent REPORTING reported"))
        return verdict

    def _since(self, words: str) -> str:
        """What the board said after it last said these words; "" if it did not."""
        _, found, after = "\n".join(self.board.lines).rpartition(words)
        return after if found else ""

    # --- what is to be seen afterwards ----------------------------------------------------------

    @property
    def tail(self) -> str:
        """The board's last lines."""
        return "\n".join(self.board.lines[-40:])

    @property
    def running(self) -> tuple[str, str]:
        """(slot, version) that the board last started."""
        found = re.search(r"boot: (ota_\d) (\S+) (?!.*boot: ota_)", " ".join(self.starts))
        return found[1], found[2]

    @property
    def starts(self) -> list[str]:
        """The boot loader's lines about what it starts."""
        return [line for line in self.board.lines if re.match(r"boot: ota_\d ", line)]

    @property
    def trials(self) -> int:
        """How often a new image was started on trial."""
        return sum(line.endswith(" trial") for line in self.starts)

    @property
    def fits(self) -> bool:
        """Whether the heap was large enough. Full it may be now and then, as the collector is
        conservative: in 2 of 50 updates at 80 KB. The agent goes on from that."""
        full = [line for line in self.board.lines if re.match(r"[WE] .*MemoryError", line)]
        return len(full) < 3 and not any(line.startswith("E") for line in full)

    @property
    def had(self) -> list[int]:
        """What the slot held already each time the download was opened, in bytes."""
        opened = (re.search(r"update open \d+ has (\d+)", line) for line in self.board.lines)
        return [int(match[1]) for match in opened if match]


def _changed(members: dict, changes: dict) -> dict:
    return {key: value for key, value in (members | changes).items() if value is not None}


def target(name: str) -> str:
    """A thing's ARN."""
    return arn("thing", name)


def image(version: str, size: int | None = SIZE, **more: Any) -> bytes:
    """An app image with this checkout's firmware."""
    return make_image(version, size, **more)
