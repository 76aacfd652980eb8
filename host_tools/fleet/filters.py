"""Which things are meant: those that failed, that are behind, or that are not connected."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sluice.errors import SluiceError
from sluice.fleet.status import ThingStatus

VERSION = re.compile(r"v?(\d{1,9}(?:\.\d{1,9})*)(.*)", re.DOTALL)


@dataclass(frozen=True)
class Filters:
    """What a thing must be like; all that is asked for must be so.

    outdated    a version: those are meant whose application is older. A thing without an
                application counts with its image, and one that told neither is meant.
    """

    failed: bool = False
    offline: bool = False
    outdated: str | None = None

    def __post_init__(self) -> None:
        if self.outdated is not None and not VERSION.fullmatch(self.outdated):
            raise SluiceError(f"--outdated {self.outdated}: a version is wanted, as 1.4.0")

    def chosen(self, things: Iterable[ThingStatus]) -> tuple[ThingStatus, ...]:
        """Those that are meant."""
        return tuple(thing for thing in things if self._means(thing))

    def _means(self, thing: ThingStatus) -> bool:
        if self.failed and not thing.failed:
            return False
        if self.offline and thing.connected:
            return False
        return self.outdated is None or older(thing.app or thing.image, self.outdated)


def older(version: str, than: str) -> bool:
    """Whether a version is older. One that has no numbers is, unless it is the same."""
    found, wanted = VERSION.fullmatch(version), VERSION.fullmatch(than)
    if not found or not wanted:
        return version != than
    return _order(found) < _order(wanted)


def _order(found: re.Match[str]) -> tuple[list[int], bool, str]:
    """1.4 is 1.4.0, and 1.4.0-rc1 comes before 1.4.0."""
    numbers = [int(part) for part in found[1].split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers, not found[2], found[2]
