"""When the thing's shadow is told: after every connect, and between jobs when there is a reason.

What is told is in aws_shadow, which is loaded for it. Where no shadow is configured, it is the
version alone, once at a start.
"""

from micropython import const

from sluice.loading import Scope, plug_in

_LOST = const(2)  # sessions that telling may cost in a row, before the agent goes on without


class Shadow:
    """A thing's shadow, for a dialect that has it told.

    name      its name; "classic": the one without a name; "": none is configured
    key       of the version in it
    board     name of the board
    adopts    module whose `adopt(settings, wanted)` puts settings in force
    agent     sluice.agent.agent.Agent, which it tells of
    reported  hash of what was reported; 1: it is to be reported again; None: nothing was
    looked    number of the journal's record when it was told last; None: there was a notice
    """

    def __init__(self, name, key, board, adopts):
        self.name = name
        self.key = key
        self.board = board
        self.adopts = adopts
        self.reported = self.looked = None
        self.agent = None
        self._lost = 0  # times in a row that the session ended over it, as a policy may forbid it

    async def linked(self):
        """Tell it, before anything else; what is to be asked the next time: itself, or None.

        raises   Retry when the session is lost
        """
        self.reported = self.reported and 1
        if self._lost < _LOST:
            self._lost += 1
            await self.tell()
            self._lost = 0
        return self if self.name else None

    def due(self):
        """Whether there is a reason: a job has ended, or a notice came."""
        return self.looked != self.agent.journal["seq"]

    def ring(self, topic, payload):
        """A notice: nothing of it is kept but that it came."""
        self.looked = None

    async def tell(self):
        """Take what is desired and report what is. Raises Retry when the session is lost."""
        with Scope():  # the application has the room while the agent waits for a job
            if self.name:
                await plug_in("sluice.clouds.aws_shadow", "report")(self.agent, self)
            else:
                await plug_in("sluice.clouds.aws_shadow", "report_version")(self.agent, self)
