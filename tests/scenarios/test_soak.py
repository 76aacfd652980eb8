"""Jobs of all sorts one after another, while power, broker, cloud and network fail at random.

Whatever happens, every job ends, what its end says is what the board runs, and only a lost trial
may make a good one fail. A few jobs in `make test`; SLUICE_SOAK=500 has each board do 500, which
takes an hour or two. What happens is drawn from SLUICE_SEED; when, is up to the machine, too.
"""

import contextlib
import json
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from patience import LONG_S
from stage import HEAP, Cloud, Stage, image, soon

from sluice.cloud.run import DEATHS, DEATHS_S
from sluice.commands import deploy
from sluice.device.supervisor import Board
from sluice.image.modules import SELF_TESTS

JOBS = int(os.environ.get("SLUICE_SOAK", 5))
SEED = int(os.environ.get("SLUICE_SEED", 1))
SMALL = 180_224  # bytes
TROUBLE_S = 9  # at most, of each job
WAIT_S = LONG_S  # for its end, after the trouble
OPERATIONS = 80  # of flash, at most, until a fuse blows
NEVER = 1_000_000  # the same: more than the rest of a job takes
LOST = "rolled back: not confirmed in its trial"  # the power failed in it


# --- the jobs -----------------------------------------------------------------------------------


New = Callable[..., bytes]  # (size, app=None) → an image of the board's chip, of a new version
Make = Callable[[Stage, New, random.Random], str]  # → the job's id


def good(scene: Stage, new: New, rng: random.Random) -> str:
    flags = ("--protocol", rng.choice(("mqtt", "http")))
    return scene.deploy(new(rng.choice((SMALL, 2 * SMALL, 4 * SMALL))), *flags)


def equipped(scene: Stage, new: New, rng: random.Random) -> str:
    extra = scene.file(rng.randbytes(5_000))
    return scene.deploy(new(SMALL), "--file", f"{extra}=/data/extra")


def sick(scene: Stage, new: New, rng: random.Random) -> str:
    return scene.deploy(new(SMALL, app=SELF_TESTS["fail"]))


def forged(scene: Stage, new: New, rng: random.Random) -> str:
    made = new(SMALL)
    other = scene.signature(made[:-1])
    return scene.job(scene.document(made, sig_sha256_ecdsa=other))


def withdrawn(scene: Stage, new: New, rng: random.Random) -> str:
    job = scene.deploy(new(4 * SMALL))
    time.sleep(rng.uniform(0, 1))
    scene.cancel(job, "--force")
    return job


def fetched(scene: Stage, new: New, rng: random.Random) -> str:
    content = rng.randbytes(rng.randint(1, 9_000))
    where = deploy.upload(scene.cloud.calls, scene.file(content), deploy.BUCKET)
    parameters = {"Bucket": where["bucket"], "Key": where["key"]}
    url = scene.cloud.calls.s3.generate_presigned_url("get_object", parameters)
    order = {"operation": "download", "url": url, "path": "/data/fetched"}
    return scene.job(order | {"sig-sha256-ecdsa": scene.signature(content)})


def plain(**document: object) -> Make:
    """A job of that document."""
    return lambda scene, new, rng: scene.job(document)


@dataclass(frozen=True)
class Kind:
    """A sort of job: what makes it, how it ends, and whether the board may run its image then."""

    make: Make
    status: str
    updates: tuple[bool, ...] = (False,)


# fmt: off
KINDS = {
    "good":      Kind(good, "SUCCEEDED", (True,)),
    "equipped":  Kind(equipped, "SUCCEEDED", (True,)),
    "sick":      Kind(sick, "FAILED"),
    "forged":    Kind(forged, "FAILED"),
    "withdrawn": Kind(withdrawn, "CANCELED", (False, True)),  # its trial may have begun
    "fetched":   Kind(fetched, "SUCCEEDED"),
    "reboot":    Kind(plain(operation="reboot"), "SUCCEEDED"),
    "echo":      Kind(plain(operation="echo", text="still here"), "SUCCEEDED"),
    "nonsense":  Kind(plain(operation="fly"), "REJECTED"),
}
STAYING = KINDS | {"sick": Kind(sick, "FAILED", (True,))}  # where nothing goes back

# --- the trouble --------------------------------------------------------------------------------

FAULTS = (  # see host_tools/cloud/faults.py
    {},
    {"drop_blocks":      {"every": 7, "times": 1}},
    {"duplicate_blocks": {"every": 5}},
    {"truncate_blocks":  {"every": 13, "times": 1}},
    {"reorder_blocks":   {"every": 3}},
    {"disconnect":       {"blocks": [9], "times": 1}},
    {"reject":           {"topic": "/update", "code": "RequestThrottled", "times": 2}},
    {"silence":          {"topic": "/update", "times": 1}},
    {"silence":          {"topic": "start-next", "times": 1}},
    {"drop_accepted":    {"topic": "/update", "times": 1}},
    {"drop_accepted":    {"topic": "start-next", "times": 1}},
    {"delay":            {"topic": "", "ms": 300}},
    {"fail_http":        {"path": "", "times": 2}},
    {"cut_body":         {"path": "", "times": 2}},
)
# fmt: on


def power(scene: Stage, rng: random.Random) -> None:
    scene.board.cut_power()


def fuse(scene: Stage, rng: random.Random) -> None:
    parts = ("nothing", "front", "back", "whole")
    scene.board.cut_after(rng.randint(1, OPERATIONS), rng.choice(parts))


def broker(scene: Stage, rng: random.Random) -> None:
    with contextlib.suppress(ValueError, OSError):  # it is not there again yet
        scene.cloud.kill_broker()
    time.sleep(DEATHS_S / DEATHS)  # a cloud whose broker dies oftener gives up


def outage(scene: Stage, rng: random.Random) -> None:
    scene.cloud.kill()
    time.sleep(rng.uniform(0, 2))
    scene.cloud.start(json.loads(scene.cloud.faults.read_text()))


def nothing(scene: Stage, rng: random.Random) -> None:
    pass


TROUBLE = (power, power, fuse, fuse, broker, outage, nothing, nothing)


def harass(scene: Stage, rng: random.Random) -> set[str]:
    """What went wrong, by the end of it."""
    happened = set()
    limit = time.monotonic() + rng.choice((0, TROUBLE_S / 3, TROUBLE_S))
    while time.monotonic() < limit:
        time.sleep(rng.choice((rng.uniform(0.1, 1.5), rng.uniform(1, 5))))
        trouble = rng.choice(TROUBLE)
        trouble(scene, rng)
        happened.add(trouble.__name__)
    scene.board.cut_after(NEVER)  # a fuse that has not blown is not the next job's
    scene.cloud.change({})
    return happened


# --- the truth ----------------------------------------------------------------------------------


def rests(scene: Stage) -> bool:
    """Whether the board waits for a job, since whatever it did last."""
    lines = "\n".join(scene.board.lines)
    last = max(lines.rfind(f"\n{mark}: ") for mark in ("boot", "reset", "power"))
    return lines.rfind("agent idle") > last


def running(scene: Stage) -> str:
    """The version that the board last started."""
    lines = "\n".join(scene.board.lines)
    return re.findall(r"^boot: \w+ (\S+) (?:valid|trial|new-board)$", lines, re.M)[-1]


def does(scene: Stage, kind: Kind, chip: str, version: str, rng: random.Random) -> None:
    """One job to its end; AssertionError when that is not true."""
    before, rules = running(scene), rng.choice(FAULTS)
    scene.cloud.change(rules)
    job = kind.make(scene, partial(image, version, chip=chip), rng)
    happened = harass(scene, rng)
    verdict = scene.verdict(job, WAIT_S)
    soon(lambda: rests(scene), WAIT_S)
    about = (kind, rules, happened, verdict, scene.tail)
    if (verdict.status, verdict.reason) == ("FAILED", LOST):
        assert kind.updates == (True,) and happened & {"power", "fuse"}, about
        assert running(scene) == before, about
        return
    assert verdict.status == kind.status, about
    assert (running(scene) == version) in kind.updates, about
    assert running(scene) in (before, version), about


@pytest.fixture(scope="module")
def unreliable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud that is ended again and again."""
    made = Cloud(tmp_path_factory.mktemp("unreliable") / "state").start({})
    yield made
    made.stop()


# fmt: off
BOARDS = {  # the board → its chip, what it is set to, and how jobs end there
    "SIM_ESP32": ("esp32", {"block": 4_096}, KINDS),
    "SIM_W800":  ("w800", {"block": 16_384, "stream_format": "cbor", "shadow": "two"}, STAYING),
}
# fmt: on


@pytest.mark.timeout(JOBS * (TROUBLE_S + 2 * WAIT_S))
@pytest.mark.parametrize("name", BOARDS)
def test_every_job_ends_and_its_end_is_true_whatever_fails(unreliable, stage, name: str):
    chip, config, kinds = BOARDS[name]
    rng = random.Random(SEED)
    scene = stage(unreliable, poll_s=30, trial_s=120, **config)
    scene.board = Board(scene.root, scene.name, board=name, heap=HEAP)
    scene.power_on()
    deck: list[Kind] = []
    for number in range(1, JOBS + 1):
        deck = deck or rng.sample(list(kinds.values()), len(kinds))  # each before any comes again
        does(scene, deck.pop(), chip, f"1.{number}.0", rng)
        for file in Path(scene.folder).glob("*-*.*"):  # images and documents
            file.unlink()
