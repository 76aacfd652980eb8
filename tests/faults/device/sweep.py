"""Runs one job again and again, each time with another fault, and says which ended wrong.

    sweep.py KIND JOB FIRST STEP
    sweep.py KIND JOB LABEL         that one, with all that the board says

The faults of a KIND are numbered; those taken are FIRST, FIRST + STEP, … What a KIND can hit is
counted in a run without faults. Prints `@LOSS [label, what was wrong, last lines]` for each that
was lost, and `@SUM {"cases", "succeeded", "failed"}`.
"""

import json
import sys
from asyncio import CancelledError

import cases
import cloud
import world

SMALLER = (2, 3)  # files of the stream that are containers


def _retry():
    from sluice.errors import Retry

    return Retry("a fault")


ERRORS = (  # name, what makes it, whether the job must succeed all the same
    ("Retry", _retry, True),
    ("OSError", lambda: OSError(5), False),
    ("ValueError", lambda: ValueError("a fault"), False),
    ("KeyError", lambda: KeyError("a fault"), False),
    ("MemoryError", lambda: MemoryError("a fault"), False),
    ("CancelledError", lambda: CancelledError(), False),
)


def _raising(make):
    def fault(socket):
        raise make()

    return fault


def _ends(socket):
    socket.ended = True
    del socket.incoming[:]


def _deaf(socket):
    socket.deaf = True


TRANSPORT = (
    ("ECONNRESET", _raising(lambda: OSError(104))),
    ("a TLS error", _raising(lambda: OSError(-0x7180))),
    ("closed", _ends),
    ("deaf", _deaf),
)
FOR_GOOD = ("refuse", "strange")  # of a request: the job may fail by it
FATAL_PAGES = ("404", "403", "ignore_range", "shift_range", "other_size", "portal", "corrupt")
LEFT = (0, 600, 1_500, 3_000, 6_000, 12_000)  # bytes of the heap that a ballast leaves
HELD = (2, 30)  # awaits that it stays


def at(what, number, fault):
    """A function that arms that fault."""

    def arm(board):
        board.faults.setdefault(what, []).append((number, fault))

    return arm


def awaits(counts):
    """An exception out of every await."""
    for number in range(1, counts["awaits"] + 1):
        for name, make, must in ERRORS:
            yield "%s at await %d" % (name, number), at("awaits", number, _raising(make)), must


def transport(counts):
    """A transport that fails at every read and write, and does not connect."""
    for what in ("reads", "writes"):
        for number in range(1, counts[what] + 1):
            for name, fault in TRANSPORT:
                yield "%s at %s %d" % (name, what[:-1], number), at(what, number, fault), True
    for number in range(1, counts["connects"] + 1):
        yield "no connection %d" % number, at("connects", number, _raising(_retry)), True


def requests(counts):
    """Each request of the thing meets each fault of its service."""
    for number in range(counts["requests"]):
        for name in cloud.TOPIC_FAULTS:

            def arm(board, number=number, name=name):
                board.cloud.plan[number] = name

            yield "%s at request %d" % (name, number), arm, name not in FOR_GOOD


def blocks(counts):
    """Each block of a stream, spoilt."""
    for file, index in counts["blocks"]:
        for name in cloud.BLOCK_FAULTS:

            def arm(board, where=(file, index), name=name):
                board.cloud.blocks[where] = name

            must = name != "corrupt" or file in SMALLER  # the image is in the job, too
            yield "%s block %d of file %d" % (name, index, file), arm, must


def pages(counts):
    """Each answer of the file server, spoilt."""
    for number in range(counts["gets"]):
        for name in cloud.HTTP_FAULTS:

            def arm(board, number=number, name=name):
                board.cloud.pages[number] = name

            yield "%s at GET %d" % (name, number), arm, name not in FATAL_PAGES


def flash(counts):
    """Each operation of the slots' flash and of otadata fails: once, or all from there."""
    for number in range(counts["flash"]):
        for lasting in (False, True):

            def arm(board, number=number, lasting=lasting):
                board.chip.fails, board.chip.lasting = number, lasting

            yield "flash %d fails%s" % (number, " for good" * lasting), arm, False


def disk(counts):
    """Each operation of the file system's flash fails: once, or all from there."""
    for number in range(counts["disk"]):
        for lasting in (False, True):

            def arm(board, number=number, lasting=lasting):
                disk = board.chip.disk
                disk.fails, disk.lasting = number, lasting
                board.dying = lasting

            yield "disk %d fails%s" % (number, " for good" * lasting), arm, False


def full(counts):
    """A file system with so many blocks left; so many more than the job takes are tried, too."""
    for left in range(counts["blocks_free"] + 1):

        def arm(board, left=left):
            board.fill(left)

        yield "%d blocks left" % left, arm, False


def heap(counts):
    """The heap is full, but for so many bytes, from an await on; for a while."""
    world.collector.collecting(True)
    for number in range(1, counts["awaits"] + 1):
        for left in LEFT:
            for held in HELD:

                def arm(board, number=number, left=left, held=held):
                    board.load(number, number + held, left)

                label = "%d bytes left from await %d to %d" % (left, number, number + held)
                yield label, arm, False


def lies(counts):
    """Two losses, for a test that they are found: a false word, and a board that stops."""

    def lie(board):
        def lying(socket):
            for one in board.cloud.executions:
                one.status, one.details = "SUCCEEDED", {"reason": "said so"}
                one.told = ["SUCCEEDED"]

        board.faults["awaits"] = [(15, lying)]

    yield "a lie", lie, False

    def stop(board):
        board.faults["awaits"] = [(40, lambda socket: board.finish(world.Stands("for a test")))]

    yield "a stop", stop, False


KINDS = {
    "lies": lies,
    "awaits": awaits, "transport": transport, "requests": requests, "blocks": blocks,
    "pages": pages, "flash": flash, "disk": disk, "full": full, "heap": heap,
}  # fmt: skip


def counted(job):
    """What there is to be hit in a run of that job without faults."""
    board = cases.made(job)
    fault = cases.tried(board)
    if fault or board.cloud.executions[0].status != "SUCCEEDED":
        raise AssertionError("without a fault: %s %s" % (fault, "\n".join(board.lines)))
    for name in cases.SMALLER_FORMS:
        if name in job and name not in board.cloud.executions[0].details["reason"]:
            raise AssertionError("not by a smaller form: %s" % board.cloud.executions[0].details)
    files = {name: len(data) for name, data in cases.FILES.items()}
    taken = cases.BROUGHT[job]
    return dict(
        board.counts,
        requests=len(board.cloud.requests),
        gets=len(board.cloud.gets),
        flash=board.chip.operations,
        disk=board.chip.disk.operations - board.made,
        blocks_free=24,
        blocks=[
            (cloud.STREAMED.index(name), index)
            for name in taken
            for index in range(-(-files[name] // board.cloud.block))
            if not board.cloud.gets
        ],
    )


def shown(kind, job, label):
    """Run one again, and show all of it."""
    for name, arm, _ in KINDS[kind](counted(job)):
        if name == label:
            board = cases.made(job)
            board.shows = True
            arm(board)
            print(cases.tried(board) or "right", board.ends)
            for one in board.cloud.executions:
                print(one.id, one.status, one.told, one.details)


def taken_back(kind, execution):
    """Whether a trial ended by an exception out of the agent's first pause. No network is used
    there, so a lost link cannot come of it: whatever does is unforeseen, and fails the trial."""
    reason = (execution.details or {}).get("reason") or ""
    return kind == "awaits" and reason.startswith("rolled back: Retry")


def main(kind, job, first, step):
    counts = counted(job)
    totals = {"cases": 0, "succeeded": 0, "failed": 0}
    for number, (label, arm, must) in enumerate(KINDS[kind](counts)):
        if number % step != first:
            continue
        board = cases.made(job)
        arm(board)
        wrong = cases.tried(board)
        mine, other = board.cloud.executions
        status = mine.status
        for one in (mine, other) if must and not wrong else ():
            if one.status != "SUCCEEDED" and not taken_back(kind, one):
                wrong = "%s: %s" % (one.status, one.details)
        totals["cases"] += 1
        if wrong:
            print("@LOSS " + json.dumps([label, wrong, board.lines[-14:]]))
        else:
            totals["succeeded" if status == "SUCCEEDED" else "failed"] += 1
    print("@SUM " + json.dumps(totals))


if len(sys.argv) == 4:
    shown(*sys.argv[1:])
else:
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
