"""One image on its way from a job to an activated slot: judged, resumed, noted.

memory   that of sluice.transfer.image.Image, while there is one
"""

import gc
import hashlib
from binascii import hexlify

from micropython import const

from sluice.errors import Fail, Refuse
from sluice.loading import Scope, plug_in
from sluice.log import Log
from sluice.transfer.image import Image

_THRESHOLD = const(3_000)  # bytes allocated between collections, at least
_CHECKPOINT = const(65_536)  # bytes between two records of a download's progress

log = Log("update")


class Update:
    """The update at hand, if there is one.

    slots     inactive, target, size, version, check
    journal   sluice.journal.Journal
    settings  block, signers and the allow_… of config.json
    buffer    bytearray, a sector and four bytes
    """

    def __init__(self, slots, journal, settings, buffer):
        self._slots = slots
        self._journal = journal
        self._settings = settings
        self._buffer = buffer
        self._file = self._image = None
        self._noted = 0  # bytes that the journal knows of
        self._counted = False  # what is free was read since the download began

    def judge(self, file):
        """Raises Refuse for a file that can be seen from here not to do."""
        if not self._slots.size:
            raise Refuse("no second slot")
        if self._slots.trial:
            raise Refuse("the image that runs is on trial")
        if file.size > self._slots.size:
            raise Refuse("image larger than the slot", file.size, self._slots.size)
        plug_in("sluice.trust.policy", "signature")(file, self._settings)

    def open(self, job):
        """The job's image as far as it got: in this run, before the last reset, or not at all."""
        journal, slots, self._file = self._journal, self._slots, job.files[0]
        identity = _identity(self._file)
        known = journal.about(job) and journal["image"] == identity
        if not known or journal["slot"] != slots.inactive:
            journal.begin(job, identity, slots.inactive, slots.version)
            self.drop()
        if self._image is None:
            gc.collect()
            self._image = self._begin(slots.target())
        self._image.forget()  # the buffer may have had other uses since it was opened
        self._counted = False
        self._noted = self._image.received
        log.i("open", self._file.size, "has", self._noted, "into", slots.inactive)
        return self._image

    def _begin(self, target):
        """The image, with what an earlier start left of it; that has no head from now on, whoever
        wrote it. Raises Fail("flash", errno)."""
        words = self._settings["block"], self.check, self._journal.written, self._buffer
        image = Image(target, self._file.size, *words)
        try:
            if image.received:
                target.hide()
        except OSError as error:
            raise Fail("flash", *error.args[:1])
        return image

    def drop(self):
        """Let go of the image's memory."""
        self._image = None

    def blocks(self):
        """(received, total) in blocks of the configured size; (0, 0) without an image."""
        if self._image is None:
            return 0, 0
        block = self._settings["block"]
        return -(-self._image.received // block), -(-self._image.size // block)

    def checkpoint(self, *came):
        """Note what is there when 64 KiB came since the last time; whether they did.

        came     what else to log of it
        """
        image = self._image
        due = image.received - self._noted >= _CHECKPOINT
        if not self._counted:
            self._collect()
        if due:
            self.note()
            log.i("progress", image.received, image.size, "free", self._free, *came)
        return due

    def _collect(self):
        """Collect, and from now on when most of what is free then is used up. The collector counts
        what is allocated, which costs nothing; to ask what is free costs half a collection. An
        eighth is kept for what lives longer, so that it does not lie at the end of the heap."""
        gc.collect()
        self._counted, self._free = True, gc.mem_free()
        gc.threshold(max(_THRESHOLD, self._free - self._free // 8))

    def note(self):
        """Note what is there; after a power cut, the download goes on from here."""
        self._noted = self._image.received
        self._journal.write(written=self._image.sectors())

    def check(self, head):
        """Judge the image by its first bytes, before any of them is written. Raises Fail."""
        words = self._slots.version, self._settings, self._file.version
        version = self._slots.check(head, self._file.size)
        with Scope():  # in mid-download, when the heap is at its fullest
            plug_in("sluice.trust.policy", "version")(version, *words)


def _identity(file):
    """What makes two downloads the same: size and signature, else its digest, else the address, of
    which the query is another each time that it is handed out."""
    name = file.signature or file.md5 or (file.url or "").partition("?")[0]
    digest = hashlib.sha256(name.encode()).digest()
    return "%d-%s" % (file.size, hexlify(digest[:16]).decode())
