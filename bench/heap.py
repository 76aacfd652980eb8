"""The smallest heap in which a whole update completes, and what is free on the way.

Each try is a new simulated board (i386, all code from .mpy) with `-X heapsize`, a new image of
256 KiB, and everything from the first TLS connection to SUCCEEDED after the trial. A try in which
anything ran out of memory does not count, even where the board would have recovered. The heap is
found to 1,024 bytes. The search begins where the last run ended, so two tries will do where
nothing changed. TLS records lie outside of MicroPython's heap, here as on an ESP32.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from bench import numbers, session
from bench.numbers import Effort, Number, Table
from sluice.device.supervisor import Board
from sluice.image import make_image

BLOCKS = (256, 4_096, 16_384, 98_304, None)  # None is HTTP
FORMS = ("delta", "compressed")  # at blocks of 4,096
SIZE = 262_144  # bytes of the image
LOW, HIGH, FIRST = 24, 160, 80  # KiB
GIVEN = 112  # KiB, the heap that boards are promised to do with
PLACES = {False: "code in the heap", True: "code in flash"}


def completes(
    cloud: session.Session, way: int | str | None, heap: int, frozen: bool
) -> session.Update:
    """An update of a new board with a heap of so many KiB.

    way   bytes of a block, a smaller form of the image, or None for HTTP
    """
    if isinstance(way, str):
        return _formed(cloud, way, heap, frozen)
    with cloud.board(way or 4_096, heap=f"{heap}k", frozen=frozen) as board:
        return cloud.update(board, SIZE, "mqtt" if way else "http")


def _formed(cloud: session.Session, form: str, heap: int, frozen: bool) -> session.Update:
    """The same of an image that comes in a smaller form, and in no other."""
    old, new = make_image("1.0.0", SIZE), make_image("1.1.0", SIZE, padding="1.0.0")
    before, after = cloud.state / "heap-old.bin", cloud.state / "heap-new.bin"
    before.write_bytes(old)
    after.write_bytes(new)
    words = ("--from", before) if form == "delta" else ("--compress",)
    name = cloud.thing()
    with Board(cloud.state, name, heap=f"{heap}k", frozen=frozen, factory=old) as board:
        update = cloud.follow(board, SIZE, lambda: cloud.ordered(name, after, *words))
        whole = any("whole image" in line for line in board.lines)
    return replace(update, succeeded=update.succeeded and not whole)


def smallest(does: Callable[[int], bool], guess: int) -> int | None:
    """KiB of the smallest heap that does; None when the largest does not."""
    low, high, middle, step = LOW, HIGH + 1, guess, 1
    while high - low > 1:
        if does(middle):
            high, middle = middle, middle - step
        else:
            low, middle = middle, middle + step
        step *= 2
        if not low < middle < high:
            middle = (low + high) // 2
    return high if high <= HIGH else None


def named(way: int | str | None, frozen: bool) -> str:
    """What its row is called."""
    if isinstance(way, str):
        return f"{way}, {PLACES[frozen]}"
    return f"{f'blocks of {way:,}' if way else 'HTTP'}, {PLACES[frozen]}"


def row(cloud: session.Session, block: int | str | None, frozen: bool) -> list[Number]:
    """The numbers of one row."""
    name = named(block, frozen)
    guess = numbers.value(numbers.load(), "heap", name, "smallest heap")
    found = smallest(
        lambda size: completes(cloud, block, size, frozen).succeeded, int(guess or FIRST)
    )
    update = completes(cloud, block, GIVEN, frozen)
    free = update.idle_free if update.succeeded else None
    return [
        Number("heap", name, "smallest heap", found, "KiB"),
        Number("heap", name, "free while idle", free, "bytes"),
        Number("heap", name, "free, downloading", update.least_free, "bytes"),
    ]


def measure(effort: Effort) -> Iterator[Number]:
    """Each size of a block, with the code in the heap and in flash."""
    cases = [(way, frozen) for frozen in PLACES for way in (*BLOCKS, *FORMS)]
    with session.opened() as cloud:
        for block, frozen in cases:
            yield from row(cloud, block, frozen)


TABLE = Table(
    "heap",
    "RAM",
    "what",
    f"Smallest heap: KiB, for a whole update. Free: bytes, of a heap of {GIVEN} KiB.",
    measure,
)
