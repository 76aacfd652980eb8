"""The smallest heap in which a whole update completes, and what is free on the way.

Each try is a new simulated board (i386, all code from .mpy) with `-X heapsize`, a new image of
256 KiB, and everything from the first TLS connection to SUCCEEDED after the trial. A try in which
anything ran out of memory does not count, even where the board would have recovered. The heap is
found to 1,024 bytes. The search begins where the last run ended, so two tries will do where
nothing changed. TLS records lie outside of MicroPython's heap, here as on an ESP32.
"""

from collections.abc import Callable, Iterator

from bench import numbers, session
from bench.numbers import Effort, Number, Table

BLOCKS = (256, 4_096, 16_384, 98_304, None)  # None is HTTP
SIZE = 262_144  # bytes of the image
LOW, HIGH, FIRST = 24, 160, 80  # KiB
GIVEN = 112  # KiB, the heap that boards are promised to do with
PLACES = {False: "code in the heap", True: "code in flash"}


def completes(
    cloud: session.Session, block: int | None, heap: int, frozen: bool
) -> session.Update:
    """An update of a new board with a heap of so many KiB; without a block it is by HTTP."""
    with cloud.board(block or 4_096, heap=f"{heap}k", frozen=frozen) as board:
        return cloud.update(board, SIZE, "mqtt" if block else "http")


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


def named(block: int | None, frozen: bool) -> str:
    """What its row is called."""
    return f"{f'blocks of {block:,}' if block else 'HTTP'}, {PLACES[frozen]}"


def row(cloud: session.Session, block: int | None, frozen: bool) -> list[Number]:
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
    cases = [(block, frozen) for frozen in PLACES for block in BLOCKS]
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
