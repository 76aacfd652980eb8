"""Which of the folders of boards/ is at the port.

A board is told by the header of the image that it runs: it has the chip's id, or is a W800's own.
"""

from dataclasses import dataclass

from sluice import boards
from sluice.errors import SluiceError
from sluice.image.build import CHIPS

SIMULATED = "SIM_"  # what the names of boards begin with that exist in `sluice device run` alone


@dataclass(frozen=True)
class Kind:
    """One folder of boards/.

    chip    chip id in the header of its images; for another family the chip's name
    mcu     as MicroPython and esptool call the chip
    offset  where esptool writes MicroPython's firmware.bin; None if it is not esptool's to write
    """

    name: str
    chip: int | str
    mcu: str
    offset: int | None


def kinds() -> list[Kind]:
    """All boards, by name."""
    return [named(name) for name in boards.names()]


def named(name: str) -> Kind:
    """The board of that name or path; SluiceError lists those there are."""
    about = boards.facts(name)
    options = about.get("deploy_options")
    offset = options.get("flash_offset") if isinstance(options, dict) else None
    mcu = about["mcu"]
    chip = CHIPS[mcu].id if mcu in CHIPS else mcu
    try:
        return Kind(name, chip, mcu, None if offset is None else int(str(offset), 0))
    except ValueError:
        raise SluiceError(f"{name}: its board.json has {offset} as flash_offset") from None


def choose(chip: int | str, wanted: str | None) -> Kind:
    """The board that runs images for `chip`: the one that was named, or the only one.

    raises  SluiceError: unknown, another chip, or several to choose from
    """
    fitting = [kind for kind in kinds() if kind.chip == chip]
    real = [kind for kind in fitting if not kind.name.startswith(SIMULATED)]
    names = " or ".join(kind.name for kind in real or fitting)
    if wanted:
        kind = named(wanted)
        if kind.chip != chip:
            raise SluiceError(
                f"wrong board: {wanted} runs images for {_words(kind.chip)}, the board at this "
                f"port for {_words(chip)}{': take ' + names if names else ''}"
            )
        return kind
    if not names:
        raise SluiceError(f"no board in boards/ runs images for {_words(chip)}")
    if len(real or fitting) > 1:
        raise SluiceError(f"several boards fit: say --board {names}")
    return (real or fitting)[0]


def _words(chip: int | str) -> str:
    return chip if isinstance(chip, str) else f"chip id {chip}"
