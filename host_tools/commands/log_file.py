"""--log FILE: what a command that runs for long says, with the time of each line.

Lines are added to what the file has. It is its owner's alone: a board shows what is typed to it.
"""

import argparse
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sluice.errors import SluiceError
from sluice.terminal import remark

OWNERS = 0o600
QUERY = re.compile(r"\?[^\s'\"]*X-Amz-[^\s'\"]*", re.IGNORECASE)  # of a presigned URL


def arguments(row: argparse.ArgumentParser) -> None:
    """The option."""
    text = "add each line to it, with the time in UTC"
    row.add_argument("--log", type=Path, metavar="FILE", help=text)


class LogFile(logging.Handler):
    """A file that lines are added to; none for None. A full disk ends it, and nothing else."""

    def __init__(self, path: Path | None) -> None:
        super().__init__()
        self._path, self._file = path, None
        if path is None:
            return
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, OWNERS)
        except OSError as error:
            raise SluiceError(f"cannot write {path}: {error.strerror}") from None
        self._file = os.fdopen(descriptor, "wb", buffering=0)

    def line(self, text: str) -> None:
        """Add a line now, or each of several."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for one in text.splitlines():
            shown = "".join(char for char in QUERY.sub("?…", one) if char.isprintable())
            self._write(f"{now} {shown}\n".encode())

    def emit(self, record: logging.LogRecord) -> None:
        """Add a record of Python's logging."""
        self.line(f"{record.levelname} {self.format(record)}")

    def _write(self, raw: bytes) -> None:
        with self.lock:
            if self._file is None:
                return
            try:
                self._file.write(raw)
            except OSError as error:
                self._file.close()
                self._file = None
                remark(f"sluice: {self._path}: {error.strerror}; nothing more is logged there")

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            if self._file is not None:
                self._file.close()
                self._file = None
        super().close()


@contextmanager
def logged(path: Path | None) -> Iterator[LogFile]:
    """The file of --log for as long as a command runs; an error that ends it is in it, too."""
    file = LogFile(path)
    try:
        yield file
    except SluiceError as error:
        file.line(f"ERROR {error}")
        raise
    finally:
        file.close()


@contextmanager
def of_logging(file: LogFile) -> Iterator[None]:
    """Have the file take all that is logged from INFO on; the terminal gets what it did before."""
    ours, root, terminal = logging.getLogger("sluice"), logging.getLogger(), logging.lastResort
    root.addHandler(file)
    root.addHandler(terminal)  # which alone serves where there is no handler
    before = ours.level
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        ours.setLevel(before)
        root.removeHandler(file)
        root.removeHandler(terminal)
