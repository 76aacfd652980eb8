"""Where files of a job stand until all of them are proved: /staged/0, /staged/1, …; and whether
the file system has room for them. What is done with them then is in staging.py, which a download
has no room for.
"""

import os

from micropython import const

from sluice.errors import Fail, Refuse
from sluice.journal import IDLE, File, Journal
from sluice.loading import plug_in

FOLDER = "/staged"
_RESERVE = const(6)  # blocks that stay free, for the journals
_BLOCK = const(4096)  # bytes


def record():
    """The record of sluice.files.staging, as the medium has it. Raises MemoryError."""
    return Journal(cells(), "files", _confined)


def cells():
    """Where the medium has it."""
    return File(FOLDER + "/journal.0"), File(FOLDER + "/journal.1")


def _confined(record):
    """True when all places of the record are such as a job may name: files are renamed there."""
    if record["phase"] == IDLE or not record.get("paths"):
        return True
    try:
        confined = plug_in("sluice.files.paths", "confined")
        return all(confined(path) == path for path in record["paths"])
    except Refuse:
        return False


def name(number):
    """The path that a file of a job has until it is put in place."""
    return "%s/%d" % (FOLDER, number)


def lacking(needed, spare=0):
    """None, or what to say when the file system has no room for so many blocks.

    spare    blocks that will be free, beside those that are
    """
    stat = os.statvfs("/")
    left = stat[3] if stat[3] <= stat[2] else 0  # LittleFS counts a block twice, and goes below 0
    free = left * stat[0] // _BLOCK + spare
    if needed + _RESERVE <= free:
        return None
    return "file system too small: %d blocks of 4096 needed, %d free" % (needed + _RESERVE, free)


def tight(size):
    """None, or what to say when a file of that size does not fit."""
    return lacking(blocks(size))


def blocks(size):
    """Blocks that a file takes: LittleFS keeps pointers in them, and an entry."""
    return -(-size // (_BLOCK - 32)) + 1


def brought(job):
    """The files of a job but its image, which is the first where there is one."""
    return [file for file in job.files if file.path]


class Staged:
    """A file of `size` bytes as a block device of sectors, as esp32.Partition is one.

    fresh    begin with an empty file
    raises   Fail where it cannot be opened
    """

    def __init__(self, path, size, fresh):
        self._size = size
        try:
            self._file = open(path, "w+b" if fresh else "r+b")
        except OSError as error:
            raise Fail("file system", *error.args[:1])

    def readblocks(self, sector, buf, offset=0):
        self._file.seek(sector * _BLOCK + offset)
        self._file.readinto(buf)

    def writeblocks(self, sector, buf, offset=0):
        at = sector * _BLOCK + offset
        self._file.seek(at)
        self._file.write(memoryview(buf)[: self._size - at])  # a file is not padded

    def ioctl(self, operation, sector):
        """Nothing to erase."""
        return 0

    def flush(self):
        """Have it on the medium. Raises Fail when the file system is full or broken."""
        try:
            self._file.flush()
        except OSError as error:
            raise Fail("file system", *error.args[:1])

    def close(self):
        self._file.close()
