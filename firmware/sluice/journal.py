"""What must survive a power cut: two records, each with a sequence number and a CRC.

The older of the two is overwritten each time, so one good record is always there. Written after
the flash, never before: after a cut at any instant the record is true or one step behind, and
one step behind only costs work done again.

A record is `<crc32, 8 hex digits><JSON object>`, about 400 B. What is read is judged member by
member, by sluice.records. Its keys:

    seq       number of the record
    phase     DOWNLOADING, ACTIVATED, OPERATING, REBOOTING, OWING or IDLE
    job       id of the job, `number` and `stamp` of the execution it is about
    image     identity of the image: size, and the SHA-256 of its signature, in hex
    written   map of the sectors that count, in hex
    next      what slots.running will be once the image runs; noted when it was proven
    slot      label of the slot the image goes to, and `version` of the firmware that took the job
    step      the outcome: succeeded, failed or rejected, and `reason`, in words
    runs      16 for each time that the operation was begun and then cut off by a reset, so far,
              and 1 for each time by the power
    files     set when a restart is the trial of files that a job brought: see sluice.files.staging
    form      file id of the smaller form that the image comes in; 256: it comes as it is; set once
              that is decided, and `saved`, what that means, in words
    home      label of the slot whose image an update made the one to stay, until the next download
              begins: while that slot runs, the other one still holds what ran before
"""

import json
from binascii import crc32, hexlify, unhexlify

from sluice.loading import Scope, plug_in

IDLE = "idle"
DOWNLOADING = "downloading"
ACTIVATED = "activated"
OPERATING = "operating"
REBOOTING = "rebooting"
OWING = "owing"
PHASES = (IDLE, DOWNLOADING, ACTIVATED, OPERATING, REBOOTING, OWING)

CELL = 4096  # bytes of a record, at most: what is longer is none, and is not read
LAST = 0x3FFF_FFFF  # the number of a record; after it comes 0, as no number may be the end
_REASON = 256  # characters of one, at most: it is held, saved, and told again
_WHOLE = 256  # a `form`: the image comes as it is; no file has this id
_EMPTY = {"seq": 0, "phase": IDLE}
_JUDGE = "sluice.records"


class Journal:
    """The record that is in force, as a dict-like object; `write` makes it last.

    cells    two objects with `load() -> bytes` (b"" when there is nothing) and `save(bytes)`;
             each `save` must be on the medium when it returns
    kind     of its records: see sluice.records
    right    record → whether it will do, for what sluice.records cannot know
    """

    def __init__(self, cells, kind="job", right=bool):
        self._cells = cells
        self._record = _EMPTY
        self._strange = False  # there is something, and none of it is a record
        with Scope():  # of files that a job brings, a download begins with it
            self._read(kind, right)

    def _read(self, kind, right):
        judged = plug_in(_JUDGE, "judged")
        for cell in self._cells:
            try:
                data = cell.load()
                record = judged(data, kind)
            except MemoryError:
                if kind != "job":  # which is read at a start: what has no room then never has
                    raise
                data, record = _JUDGE, None
            self._strange = self._strange or bool(data)
            if record and right(record) and self._older(record["seq"]):
                self._record = record
        self._strange = self._strange and self._record is _EMPTY

    def _older(self, seq):
        """True when the record in force comes before one of that number."""
        ahead = (seq - self._record["seq"]) & LAST
        return self._record is _EMPTY or 0 < ahead <= LAST >> 1

    def __getitem__(self, key):
        return self._record.get(key)

    @property
    def phase(self):
        return self._record["phase"]

    @property
    def written(self):
        """The map of sectors that an interrupted download left; empty when there is none."""
        try:
            return unhexlify(self._record.get("written") or "")
        except ValueError:  # no map
            return b""

    def about(self, job):
        """True when the record is about this execution of this job."""
        mine = (self["job"], self["number"], self["stamp"])
        return mine == (job.id, job.number, job.stamp)

    def write(self, **changes):
        """Put a record with these changes in force, and on the medium."""
        self._put(dict(self._record), changes)

    def _put(self, record, changes):
        """In force once it is saved: a save that raises leaves everything as it was."""
        record.update(changes)
        record["seq"] = (record["seq"] + 1) & LAST
        if isinstance(record.get("written"), (bytes, bytearray)):
            record["written"] = hexlify(record["written"]).decode()
        body = json.dumps(record).encode()
        self._cells[record["seq"] & 1].save(b"%08x" % crc32(body) + body)
        self._record = record
        if self._strange:  # its number may be the higher one: no firmware is to take it up again
            self._strange = False
            self._cells[~record["seq"] & 1].save(b"")

    def smaller(self):
        """Whether the image comes in a smaller form."""
        return self["form"] not in (None, _WHOLE)

    def whole(self, reason, **more):
        """The image comes as it is, and why."""
        self.write(form=_WHOLE, saved="whole image: " + reason, **more)

    def begin(self, job, image, slot, version):
        """A download begins: what was noted of another job or image is forgotten."""
        self.take(job, phase=DOWNLOADING, image=image, slot=slot, version=version, home=None)

    def take(self, job, **changes):
        """A record about this job, with these members and none of another job's."""
        self._put(self._turned_to(job), changes)

    def owe(self, step, reason, job=None):
        """The outcome of the job of the record, or of `job`, is to be told to the cloud."""
        other = job and not self.about(job)
        record = self._turned_to(job) if other else dict(self._record)
        if record["phase"] == ACTIVATED and step == "succeeded" and record.get("slot"):
            record["home"] = record["slot"]
        reason = reason and reason[:_REASON]
        self._in_force(record, {"phase": OWING, "step": step, "reason": reason, "written": ""})

    def _in_force(self, record, changes):
        """In force even where the file system is full: what is told does not wait for that. After
        a reset the record before it is in force, which has it found out or told again."""
        seq = record["seq"]
        try:
            self._put(record, changes)
            return True
        except OSError as error:
            from sluice.log import Log  # not above: the table's tests load this where it cannot be

            Log("journal").w("not saved", error)
            record["seq"] = seq  # the next one goes to the same cell: the good one stays
            self._record = record

    def _turned_to(self, job):
        record = {"seq": self["seq"], "phase": IDLE}
        record["home"] = self["home"]
        record.update({"job": job.id, "number": job.number, "stamp": job.stamp})
        return record

    def mark_reported(self, reason=None):
        """The cloud knows. The record stays, so that the same execution is not run twice. True
        when that was saved.

        reason   in the place of the one that was owed
        """
        reason = (reason or self["reason"] or "")[:_REASON]
        return self._in_force(dict(self._record), {"phase": IDLE, "reason": reason or None})


def cells(board):
    """Where the board keeps its journal: in two files, unless it has a better place."""
    if hasattr(board, "cells"):
        return board.cells()
    return File("/journal.0"), File("/journal.1")


class File:
    """A cell of the journal in a file; closing it puts it on the medium.

    limit    bytes of it, at most; of a file that is longer one more is read, to tell
    """

    def __init__(self, path, limit=CELL):
        self._path = path
        self._limit = limit

    def load(self):
        try:
            with open(self._path, "rb") as file:
                size = min(file.seek(0, 2), self._limit + 1)  # all of it is taken at once
                file.seek(0)
                return file.read(size)
        except OSError:  # not there yet
            return b""

    def save(self, data):
        with open(self._path, "wb") as file:
            file.write(data)
