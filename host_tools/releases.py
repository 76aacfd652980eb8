"""The releases of MicroPython that Debian has, and that the tests run on."""

from dataclasses import dataclass

OLDEST = (1, 24)  # MicroPython that the firmware runs on
ASKED = "SLUICE_MICROPYTHON"  # variable that names a release


@dataclass(frozen=True)
class Release:
    """A MicroPython that Debian has, and that the tests run on.

    suite    of Debian, which has it
    version  what that suite had when this was written
    moves    whether the suite goes on to newer versions: those are taken, and it is said
    """

    suite: str
    version: str
    moves: bool = False

    @property
    def name(self) -> str:
        """Major and minor: "1.25"."""
        return self.version.rpartition(".")[0]

    def fault(self, version: tuple[int, ...]) -> str | None:
        """Why a MicroPython of that version does not stand for this release; None when it does."""
        own = tuple(map(int, self.name.split(".")))
        if version[:2] == own or (self.moves and version[:2] > own):
            return None
        return f"{self.name}{' or later' if self.moves else ''} is needed"


RELEASES = {
    release.name: release
    for release in (Release("trixie", "1.25.0"), Release("sid", "1.26.1", moves=True))
}
DEFAULT = "1.25"
