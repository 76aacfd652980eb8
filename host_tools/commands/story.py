"""What the demo shows: what the lines of its board mean, and how far an image is."""

import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

BLOCK = 4_096  # bytes, as `thing create` configures the board
WHO = 12  # columns of who acts
ROOMY = 90  # columns that a bar takes with all that is said beside it

BOOTED = re.compile(r"^boot: (ota_\d) (\S+) (valid|trial|new-board)$")
OPENED = re.compile(r"update open (\d+) has (\d+) into (\S+)")
PROGRESS = re.compile(r"update progress (\d+) (\d+) free (\d+)")
# fmt: off
SHOWN = (  # a line of the board → who acts, and what the user is told
    (BOOTED,                                     "boot loader", "starts {0}, version {1} ({2})"),
    (re.compile(r"^boot: rolled back (\S+)"),    "boot loader", "[yellow]takes {0} back[/]"),
    (re.compile(r"^boot: skipped (.+)"),         "boot loader", "[red]skips {0}[/]"),
    (re.compile(r"mqtt linked (\S+)"),           "board", "linked to {0} over mutual TLS"),
    (re.compile(r"attempt failed: (.+)"),        "board", "[yellow]cannot link yet: {0}[/]"),
    (re.compile(r"agent job (\S+)"),             "board", "hears of job {0}"),
    (re.compile(r"verify signed by (\S+)"),       "board", "it is genuine: signed by {0}"),
    (re.compile(r"bundle unpacked /(\S+) (\S+)"), "board", "has version {1} in tree {0}"),
    (re.compile(r"agent ACTIVATING ready"),      "board", "has it tried at its reset"),
    (re.compile(r"main agent (\S+) app (\S+) (.+)"), "board",
     "runs agent {0}, application {1}, from {2}"),
    (re.compile(r"agent TRYING healthy"),        "board", "[green]is healthy: confirmed[/]"),
    (re.compile(r"agent sick (.+)"),             "board", "[yellow]{0}: left unconfirmed[/]"),
    (re.compile(r"E \d+ main stopped (.+)"),     "board", "[yellow]{0}: left unconfirmed[/]"),
    (re.compile(r"app reading (\d+) (\d+)"),       "application", "reading {0}: {1} bytes free"),
    (re.compile(r"agent report (\S+) (.+)"),     "board", "reports {0}: {1}"),
)
COLOURS = {"boot loader": "magenta", "application": "green", "board": "cyan",
           "host": "blue", "cloud": "blue"}
# fmt: on


class Story:
    """Tells the user what the lines of the board mean."""

    def __init__(self, console: "Console") -> None:
        self._console = console
        self._bar: Progress | None = None
        self._size = 0  # bytes of the image that streams
        self._begin = 0.0
        self._heap = ""
        self._roomy = not console.is_terminal or console.width >= ROOMY

    def title(self, text: str) -> None:
        """What comes next."""
        self._console.print(f"\n[bold]{text}[/]", soft_wrap=not self._console.is_terminal)

    def tell(self, who: str, text: str) -> None:
        """One event; in a terminal what does not fit goes on below itself."""
        if not self._console.is_terminal:
            self._console.print(f"{who:12} {text}", soft_wrap=True)
            return
        from rich.table import Column, Table

        row = Table.grid(Column(width=WHO, no_wrap=True), Column(overflow="fold"), padding=(0, 1))
        row.add_row(f"[{COLOURS[who]}]{who}[/]", text)
        self._console.print(row)

    def hear(self, line: str) -> None:
        """One line of the board, in the board's thread."""
        from rich.markup import escape

        opened, progress = OPENED.search(line), PROGRESS.search(line)
        if opened:
            self._open(int(opened[1]), int(opened[2]), opened[3])
        elif progress:
            self._heap = f"  heap {int(progress[3]) / 1024:.1f} KiB free"
            self._advance(int(progress[1]))
        elif "agent DOWNLOADING" in line:
            self.close(complete=line.endswith("complete"))
        for pattern, who, text in SHOWN:
            match = pattern.search(line)
            if match:
                self.tell(who, text.format(*map(escape, match.groups())))

    def _open(self, size: int, had: int, slot: str) -> None:
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        self.close()
        self._size, self._had, self._heap = size, had, ""
        self._begin = time.monotonic()
        self._slot = slot
        if not self._console.is_terminal:
            return
        whole = Column(no_wrap=True)
        self._bar = Progress(
            TextColumn(f"{'board':{WHO}}", "cyan", markup=False, table_column=whole),
            TextColumn("{task.fields[slot]}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(20 if self._roomy else 8),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
        )
        self._task = self._bar.add_task("", total=size, completed=had, note="", slot=slot)
        self._bar.start()

    def _advance(self, received: int) -> None:
        if not self._size:
            return
        seconds = max(time.monotonic() - self._begin, 0.001)
        speed = (received - self._had) / 1024 / seconds
        blocks = f"{-(-received // BLOCK)}/{-(-self._size // BLOCK)} blocks"
        note = f"{blocks}  {speed:,.0f} KiB/s{self._heap if self._roomy else ''}"
        if self._bar:
            self._bar.update(self._task, completed=received, note=note)
        elif received == self._size:  # a pipe has the end alone
            self.tell("board", f"{self._slot} {note}")

    def close(self, complete: bool = False) -> None:
        """End the bar, if there is one."""
        if complete:
            self._advance(self._size)
        self._size = 0
        if self._bar:
            self._bar.stop()
            self._bar = None
