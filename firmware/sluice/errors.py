"""Every error, named by what the agent does next.

`reason` is short and in lower case, and goes to the cloud unchanged. `values` are for the log.
They are appended to the reason when it is shown, as much of each as the heap has room for, because
some of them come from the cloud. Imports nothing.
"""

_TEXT = 200  # characters of a value that are shown; a path has 128


class OTAError(Exception):
    """Base of the tree; never raised itself."""

    def __init__(self, reason, *values):
        super().__init__(reason, *values)
        self.reason = reason
        self.values = values

    def __str__(self):
        return " ".join([str(word)[:_TEXT] for word in (self.reason,) + self.values])


class Retry(OTAError):
    """The network or the cloud hiccuped: back off, reconnect, go on at the same place."""


class Refuse(OTAError):
    """This job will not be started; nothing was written."""


class Fail(OTAError):
    """It was tried and cannot succeed; the running slot is untouched."""


class Gone(OTAError):
    """The cloud withdrew the job: nothing to report. `status` is what it ended as, if known."""

    status = None
