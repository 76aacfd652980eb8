"""Every fault of the local cloud's plan, in each phase of an update, by each transport: on
simulated boards. What a fault of the plan can hit is a request; these are those of an update."""

import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fault_sweeps import WORKERS, Outcome
from stage import Cloud, Stage, image

from sluice.device.supervisor import Board

SIZE = 180_225  # bytes: one checkpoint, and a block of a few bytes
LAST = SIZE // 4096
NEVER_S = 3_600  # between two reports of progress, so that the updates can be counted
REREAD_S = 0.3
# a board that has linked, or that says for the second time that it has no room to
STARTED = r"agent idle|E .*MemoryError|^MemoryError|^end: "
TRANSPORTS = ("JSON", "CBOR", "HTTP")
PHASES = {  # phase → the request that is hit in it
    "connecting": {"topic": "/$next/get"},
    "accepting": {"topic": "/start-next"},
    "downloading": {"topic": "/update"},
    "activating": {"topic": "/update", "skip": 1},
    "trial, connecting": {"topic": "/$next/get", "skip": 1},
    "trial": {"topic": "/update", "skip": 2},
    "reporting": {"topic": "/update", "skip": 3},
}
TOPIC_FAULTS: dict[str, dict[str, Any]] = {
    "silence": {},
    "reject": {"code": "RequestThrottled"},
    "drop_accepted": {},
    "delay": {"ms": 400},
}
BLOCK_FAULTS = (
    "drop_blocks", "duplicate_blocks", "truncate_blocks", "reorder_blocks", "disconnect",
    "corrupt_blocks",
)  # fmt: skip
PATH_FAULTS: dict[str, dict[str, Any]] = {
    "age_url": {"s": 90_000},
    "fail_http": {"code": 503},
    "redirect": {},
    "cut_body": {"after": 30_000},
    "chunk_body": {"size": 700},
    "close_after": {},
    "ignore_range": {},
    "shift_range": {},
}
MAY_FAIL = ("corrupt_blocks", "shift_range")


@dataclass(frozen=True)
class Case:
    """One fault in one phase, by one transport."""

    phase: str
    transport: str
    fault: str
    rule: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.fault} while {self.phase}, {self.transport}"


def cases() -> Iterator[Case]:
    """All of them. While it verifies, a board asks for nothing."""
    for transport in TRANSPORTS:
        for phase, request in PHASES.items():
            for fault, rule in TOPIC_FAULTS.items():
                yield Case(phase, transport, fault, {**request, **rule, "times": 1})
        if transport != "HTTP":
            for what in ("/describe/", "/get/"):
                for fault, rule in TOPIC_FAULTS.items():
                    if fault != "drop_accepted":  # such an answer is no "accepted"
                        yield Case(what, transport, fault, {"topic": what, **rule, "times": 1})
            for fault in BLOCK_FAULTS:
                yield Case("downloading", transport, fault, {"blocks": [0, 7, LAST], "times": 1})
        else:
            for fault, rule in PATH_FAULTS.items():
                yield Case("downloading", transport, fault, {**rule, "times": 1})


def settings(transport: str) -> dict[str, Any]:
    """What a board is told of its transport."""
    more = {"stream_format": "cbor"} if transport == "CBOR" else {}
    return {"report_s": NEVER_S, **more}


def wrong(scene: Stage, case: Case, new: bytes) -> str:
    """What was wrong with how it ended; "" when nothing was."""
    scene.power_on()
    job = scene.deploy(new, **({"protocol": "http"} if case.transport == "HTTP" else {}))
    verdict = scene.verdict(job)
    scene.board.wait_for("agent REPORTING reported")
    slot = scene.running[0]
    if verdict.status == "SUCCEEDED":
        good = scene.board.slot_bytes("ota_1", len(new)) == new
        return "" if slot == "ota_1" and good and scene.trials == 1 else "the new one is not there"
    if case.fault not in MAY_FAIL or verdict.status != "FAILED" or not verdict.reason:
        return f"{verdict.status}: {verdict.reason}"
    return "" if slot == "ota_0" and not scene.trials else "FAILED, but the new image was started"


def tried(cloud: Cloud, folder: Path, case: Case, new: bytes) -> str:
    """One case on a board of its own; "" or what was wrong, with the board's last lines."""
    cloud.faults.write_text(json.dumps({case.fault: case.rule}))
    time.sleep(REREAD_S)  # for the cloud to see it
    scene = cloud.stage(folder, **settings(case.transport))
    try:
        found = wrong(scene, case, new)
        return found and f"{case}: {found}\n{scene.tail}"
    except (AssertionError, TimeoutError) as error:
        return f"{case}: {error}\n{scene.tail}"
    finally:
        scene.board.stop()
        scene.board.flash.release()
        cloud.forget(scene.name)


def share(folder: Path, mine: list[Case]) -> Outcome:
    """These cases, one after the other, on a cloud of their own."""
    folder.mkdir()
    cloud, outcome, new = Cloud(folder / "state").start({}), Outcome(), image("1.1.0", SIZE)
    try:
        for case in mine:
            found = tried(cloud, folder, case, new)
            failed = not found and case.fault in MAY_FAIL
            outcome += Outcome(1, not found and not failed, failed, [found] if found else [])
    finally:
        cloud.stop()
    return outcome


def boards(folder: Path, step: int = 1) -> Outcome:
    """Every `step`th case, on two clouds side by side."""
    chosen, total = list(cases())[::step], Outcome()
    places = range(WORKERS)
    with ProcessPoolExecutor(WORKERS) as pool:  # the commands print, which threads would mix up
        mine = [chosen[at::WORKERS] for at in places]
        for one in pool.map(share, [folder / str(at) for at in places], mine):
            total += one
    return total


def heaps(folder: Path, sizes: Iterable[int]) -> Outcome:
    """An update with a heap of each of these sizes in KiB, from too small to enough: the board
    says that it cannot run, or the job ends with the truth."""
    total, places, chosen = Outcome(), range(WORKERS), list(sizes)
    with ProcessPoolExecutor(WORKERS) as pool:
        mine = [chosen[at::WORKERS] for at in places]
        for one in pool.map(_heaps, [folder / f"heaps-{at}" for at in places], mine):
            total += one
    return total


def _heaps(folder: Path, sizes: list[int]) -> Outcome:
    folder.mkdir()
    cloud, total, new = Cloud(folder / "state").start(), Outcome(), image("1.1.0", SIZE)
    try:
        for size in sizes:
            total += _heap(cloud, folder / str(size), size, new)
    finally:
        cloud.stop()
    return total


def _heap(cloud: Cloud, folder: Path, size: int, new: bytes) -> Outcome:
    folder.mkdir()
    scene = cloud.stage(folder)
    scene.board = Board(scene.root, scene.name, heap=f"{size}k")
    outcome = Outcome(1)
    try:
        job = scene.deploy(new)
        scene.board.start()
        scene.board.wait_for(STARTED)
        if "agent idle" not in "\n".join(scene.board.lines):
            outcome.failed = 1  # too small to link; it resets and tries again, and says why
            return outcome
        verdict = scene.verdict(job)
        scene.board.wait_for("agent REPORTING reported")
        good = verdict.status == "SUCCEEDED" and scene.running[0] == "ota_1"
        told = verdict.status in ("FAILED", "REJECTED") and verdict.reason
        outcome.succeeded, outcome.failed = int(good), int(bool(told) and not good)
        if not good and (not told or scene.running[0] != "ota_0"):
            outcome.losses.append(f"{size} KiB: {verdict}\n{scene.tail}")
    except (AssertionError, TimeoutError) as error:
        outcome.losses.append(f"{size} KiB: {error}\n{scene.tail}")
    finally:
        scene.board.stop()
        scene.board.flash.release()
        cloud.forget(scene.name)
    return outcome
