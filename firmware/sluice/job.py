"""A job as the agent knows it, whatever cloud it came from and however it was written down.

A dialect makes the Job; `read()` finds the shape of its document and fills in what it asks for.
Nothing of a document is trusted: types and bounds are checked where they are read.
"""

from sluice.errors import Refuse
from sluice.loading import plug_in


class Job:
    """One execution of one job.

    id        str, at most 64 characters
    number    int, of the execution
    version   int, of the execution's state in the cloud; goes up with every update
    queued    True until the cloud counts it as started
    trial     True where the cloud was told of a trial before
    stamp     int, when the cloud made the execution; tells a job id that is used anew
    document  dict, as it came; let go of after `read`
    kind      "image" or "operation", once read
    rollback  True where it is only for boards that go back by themselves, once read
    files     list of File; of an image the first, which has no path
    path      the module of the operation, with its `run`; `order` is what it is asked, a dict
    fetched   list of File that the operation fetches itself, until their addresses are judged
    restart   True where a restart is to start what its files hold, and is their trial
    """

    restart = rollback = False

    def __init__(self, id, number, version=1, queued=True, document=None, trial=False, stamp=0):
        self.id = id
        self.number = number
        self.stamp = stamp
        self.version = version
        self.queued = queued
        self.document = document
        self.trial = trial
        self.kind = None
        self.files = self.fetched = ()
        self.path = self.order = None

    def same(self, other):
        """True when the other job is the same execution."""
        return (other.id, other.number, other.stamp) == (self.id, self.number, self.stamp)

    def read(self):
        """Understand the document. Raises Refuse when it has no shape we know, or a wrong one."""
        document, self.document = self.document, None
        if document is None:
            raise Refuse("job document is missing or too large")
        if not isinstance(document, dict):
            raise Refuse("job document is not an object")
        for key, name, path in plug_in("sluice.plugins", "DOCUMENTS"):
            if key in document:
                return plug_in(path, name)(document, self)
        raise Refuse("unknown job document")


class File:
    """A file that a job brings.

    size        bytes; None where the document does not say
    path        where on the board's file system it is to be; None for the image of the slot; of a
                bundle where its tree is imported from
    kind        "app" or "agent" for a bundle of that, else None
    sha256      its checksum, 64 hex digits, or None
    signature   base64 text, or None when there is none; `algorithm` is "ecdsa" or "rsa"
    signer      name of the certificate to check it with, from the document, or None
    sealed      True where the image is to carry its signature itself: see sluice.trust.seal
    md5         32 lower-case hex digits that the slot's content must have, or None
    version     the version that the image must be of, or None
    smaller     of an image: the files, other than it, that it can be made of as well
    base        of such a file: (size, SHA-256 in hex) of the image that must run; None: any
    data        True where the file must not be an image that this board could run
    source      key of sluice.plugins.SOURCES; the rest is for that source:
    stream, id  name of the stream and number of the file in it
    url         where to get it, for http_range
    """

    path = sha256 = kind = base = None  # most files have none of them: no member of each then
    smaller = ()
    data = False

    def __init__(self, size, source):
        self.size = size
        self.source = source
        self.signature = self.algorithm = self.signer = None
        self.stream = self.url = self.md5 = self.version = None
        self.sealed = False
        self.id = 0
