"""Every error, named by what the agent does next.

`reason` is short, lower case and goes to the cloud as it is; `values` are for the log and are
appended to the reason when it is shown, so much of each as a heap has room for: some of them are
the cloud's. Imports nothing.
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
