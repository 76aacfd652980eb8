"""Files of a job, from /staged to their places: all of them or none, wherever the power fails.

What a job brings is kept as /staged/0, /staged/1, … until all of it is proved. Then one record on
the medium is the promise. From then on the files are put in place. The files that stood there are
kept as /staged/0.old, … until that is final. Each step is one rename, and the file system alone
tells how far it went:

    /staged/k there           not in place; what stood in its place is there or is /staged/k.old
    /staged/k gone            in place

so both ways, forward and back, can be gone again from any point. The record is a journal of its
own, of two cells with a CRC: its `phase` is DOWNLOADING while files come, ACTIVATED from the
promise on, IDLE when the files stay. Further keys: `file`, how many have come; `size` of the one
that comes; `paths`; `folders` that were made for them; `slot`, of the image that they are for:
they are put in place when it boots and taken back when another does; `boots`, for files that are
on trial themselves: a second start without a verdict takes them back. A file /staged/promised
is made before the promise and removed after it has served: a start need not load this module to
know that there is nothing to do, as its names would take 1 KB that never comes back.
"""

import os

from micropython import const

from sluice.errors import Fail
from sluice.files.staged import FOLDER, name, record
from sluice.journal import ACTIVATED, DOWNLOADING, IDLE
from sluice.loading import exists
from sluice.log import Log

_PROMISED = FOLDER + "/promised"  # there while this module is needed at a start
_FOLDER = const(0x4000)  # bit of a mode

log = Log("staging")


def begin(job, identity):
    """A record for a job whose files are to come; what was left of another job is removed."""
    if not exists(FOLDER):
        os.mkdir(FOLDER)
    confirm()
    _clear()
    noted = record()
    noted.take(job, phase=DOWNLOADING, image=identity, file=0)
    return noted


def activate(job, slot=None, trial=False):
    """From now on the files of this job are to be put in place, whatever happens.

    slot     label of the slot whose image they come with; None: at once
    trial    whether the next start is a trial of them
    """
    paths = [file.path for file in job.files if file.path and not file.kind]
    folders = []
    for path in paths:
        at = path.find("/", 1)
        while at > 0:
            if path[:at] not in folders and not exists(path[:at]):
                folders.append(path[:at])
            at = path.find("/", at + 1)
    boots = 0 if trial else None
    open(_PROMISED, "wb").close()
    record().write(phase=ACTIVATED, paths=paths, folders=folders, slot=slot, boots=boots)


def at_start(slots):
    """At a start: put in place what is promised, or take it back.

    slots    running: the label of the slot that runs; trial: whether its image is on trial
    returns  whether it is the files that are on trial
    raises   Fail when files of an image on trial cannot be put in place
    """
    try:
        noted = record()
    except MemoryError:  # on an empty heap: it will not fit the next time either
        if slots.trial:
            raise
        log.e("record does not fit into the heap")
        return False
    if noted.phase != ACTIVATED:
        return False
    boots = noted["boots"]
    if noted["slot"] not in (None, slots.running) or boots:
        _take_back(noted)
        return False
    if boots is not None:
        noted.write(boots=1)
    try:
        put(noted)
    except Fail as error:
        log.e(error)
        if slots.trial:
            raise
        return False
    if boots is None and not (noted["slot"] and slots.trial):
        confirm(noted)
    return boots is not None


def put(noted):
    """Forward: what stands in a place goes aside, what is staged goes there.

    raises   Fail when the file system refuses; then nothing is changed
    """
    try:
        for folder in noted["folders"] or ():
            if not exists(folder):
                os.mkdir(folder)
        for number, path in enumerate(noted["paths"]):
            staged = name(number)
            if exists(staged):
                if exists(path) and not exists(staged + ".old"):
                    os.rename(path, staged + ".old")
                os.rename(staged, path)
                log.i("placed", path)
    except OSError as error:
        _take_back(noted)
        raise Fail("files cannot be put in place", *error.args[:1])


def confirm(noted=None):
    """What is in place is final: what stood there before is removed."""
    noted = noted or record()
    if noted.phase == ACTIVATED:
        noted.write(slot=None, boots=None)  # no way back from here, as that is removed
        _clear()
        noted.write(phase=IDLE)
        log.i("kept", len(noted["paths"]))


def rebooted():
    """(step, reason): what came of a restart with files on trial, whose job the agent knows."""
    noted = record()
    paths = noted["paths"]
    if noted.phase == DOWNLOADING or not paths or exists(name(len(paths) - 1)):
        return "failed", "files taken back: the application did not start with them"
    confirm(noted)
    return "succeeded", "files are in place, and the board was restarted"


def drop(job=None, succeeded=False):
    """The job is over: nothing of its files stays, unless they are final, or in place and it
    succeeded. A promise that is another job's is kept: that one did not fail."""
    noted = record()
    if noted.phase == ACTIVATED and (succeeded or job and not noted.about(job)):
        confirm(noted)
    elif noted.phase == ACTIVATED:
        _take_back(noted)
    if noted.phase == DOWNLOADING or not noted["job"] and exists(FOLDER):  # a record that is none
        _drop(noted)


def placed(job):
    """True when the files of this execution are in place for good."""
    noted = record()
    return noted.phase == IDLE and noted.about(job) and bool(noted["paths"])


def _take_back(noted):
    """Back: what was put in place is staged again, what stood there returns. What was never in
    place stays staged, so that its job may go on; else the job was tried, and that is its end."""
    tried = False
    for number, path in enumerate(noted["paths"]):
        staged = name(number)
        if not exists(staged):
            tried = True
            if exists(path):
                os.rename(path, staged)
        if exists(staged + ".old"):
            os.rename(staged + ".old", path)
            log.i("taken back", path)
    for folder in reversed(noted["folders"] or ()):
        try:
            if os.stat(folder)[0] & _FOLDER:  # LittleFS would remove a file, too
                os.rmdir(folder)
        except OSError:  # was not made, or holds something by now
            pass
    noted.write(phase=DOWNLOADING)
    if tried:
        _drop(noted)
    elif exists(_PROMISED):
        os.remove(_PROMISED)


def _drop(noted):
    _clear()
    noted.write(phase=IDLE, paths=None)


def _clear():
    """Remove what is staged, and what stood where it is now."""
    for entry in list(os.ilistdir(FOLDER)):
        if not entry[0].startswith("journal."):
            os.remove(FOLDER + "/" + entry[0])
