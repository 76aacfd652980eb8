"""What was found on a board, and whether Sluice can go there."""

from dataclasses import dataclass

from sluice.device import otadata
from sluice.errors import SluiceError
from sluice.image import w800
from sluice.image.appimage import MAGIC

OLDEST = (1, 24)  # MicroPython: TLS with certificates checked, asyncio as we use it
OTA_0 = 0x10  # subtype of the first slot
HOW = "docs/getting-started-esp32.md tells how to get one"


@dataclass(frozen=True)
class Found:
    """The answer of on_board.look().

    slots   (type, subtype, address, size, label) of each app partition; None where neither
            esp32 nor w800 tells them
    staged  whether it is a W800, whose boot loader copies what is staged
    brings  whether the image that runs has the firmware inside
    earlier whether it has that of an earlier layout inside: see earlier.py
    free    bytes of the file system, in blocks of `block`
    """

    name: str
    version: tuple[int, ...]
    mpy: int
    machine: str
    free: int
    block: int
    brings: bool
    slots: list[tuple] | None
    otadata: tuple[str, ...]
    running: str = ""
    head: str = ""
    staged: bool = False
    earlier: bool = False

    @property
    def release(self) -> str:
        """For people."""
        return ".".join(map(str, self.version))

    @property
    def chip(self) -> int | str:
        """Chip id in the header of the image that runs; "w800" for one of that chip.

        raises  SluiceError: no header
        """
        head = bytes.fromhex(self.head)
        if head.startswith(w800.MAGIC.to_bytes(4, "little")):
            return w800.CHIP
        if len(head) < 24 or head[0] != MAGIC:
            raise SluiceError(f"the slot {self.running} that runs has no image header")
        return head[12] | head[13] << 8

    @property
    def ota_slots(self) -> list[str]:
        """Labels of the slots for updates."""
        return [row[4] for row in self.slots or [] if row[1] & 0xF0 == OTA_0]

    @property
    def on_trial(self) -> bool:
        """Whether the image that runs was booted and not confirmed: a reset takes it back."""
        records = [otadata.parse(bytes.fromhex(record)) for record in self.otadata]
        at = otadata.active(records) if len(records) == 2 else -1
        return at >= 0 and records[at][1] == otadata.PENDING_VERIFY


def found(answer: object) -> Found:
    """The answer of a board, of which nothing is certain. SluiceError if it is none."""
    try:
        seen = Found(**answer)  # type: ignore[arg-type]
        check_shape(seen)
    except (TypeError, ValueError):
        raise SluiceError("the board's answer is not one of MicroPython's") from None
    return seen


def check_shape(seen: Found) -> None:
    """TypeError or ValueError for members of another kind than on_board.py gives."""
    tuple(int(part) for part in seen.version)
    bytes.fromhex(seen.head)
    for record in seen.otadata:
        if len(bytes.fromhex(record)) != otadata.RECORD:
            raise ValueError(record)
    for row in seen.slots or []:
        _, subtype, _, size, label = row
        if not isinstance(subtype + size, int) or not isinstance(label, str):
            raise TypeError(label)


def judge(seen: Found) -> None:
    """SluiceError for the first thing that is in the way, in one line."""
    if seen.name != "micropython":
        raise SluiceError(f"this board runs {seen.name}, not MicroPython")
    if tuple(seen.version[:2]) < OLDEST:
        raise SluiceError(
            f"this board has MicroPython {seen.release}; 1.24 or later is needed: {HOW}"
        )
    if seen.slots is None:
        raise SluiceError(
            f"this board ({seen.machine}) has neither an esp32 nor a w800 module, so no app slots"
        )
    if seen.staged:
        _judge_staged(seen)
    elif len(seen.ota_slots) < 2 or not seen.otadata:
        there = ", ".join(str(row[4]) for row in seen.slots) or "none"
        raise SluiceError(
            f"no OTA partitions on this board (its app partitions: {there}): "
            f"it needs a MicroPython built with an OTA partition table; {HOW}"
        )
    if seen.on_trial:
        raise SluiceError(
            f"{seen.running} is on trial, and a restart would take it back: "
            "let the agent confirm it first"
        )


def _judge_staged(seen: Found) -> None:
    there = [str(row[4]) for row in seen.slots or []]
    if there != ["app", "app_ota"]:
        raise SluiceError(
            f"no place for updates on this board (of app and app_ota it has "
            f"{', '.join(there) or 'none'}): boards/W800/README.md has a partition table"
        )


def judge_bytecode(seen: Found, mpy: int) -> None:
    """SluiceError unless the board takes .mpy files of that version."""
    if seen.mpy != mpy:
        raise SluiceError(
            f"MicroPython {seen.release} takes .mpy version {seen.mpy}, "
            f"Sluice's modules have {mpy}: it needs a release that takes {mpy}; {HOW}"
        )
