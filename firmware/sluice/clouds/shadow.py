"""When the thing's shadow is told: after every connect, and between jobs when there is a reason.

What is told is in aws_shadow, which is loaded for it. Where the shadow is turned off, it is the
version alone, once at a start.
"""

from micropython import const

from sluice.loading import Scope, plug_in

_LOST = const(2)  # sessions that telling may cost in a row, before the agent goes on without
_OFTEN_S = const(900)  # what moves all the time is not told more often, as AWS counts


class Shadow:
    """A thing's shadow, for a dialect that has it told.

    name      its name; "classic": the one without a name; "": it is turned off
    key       of the version in it, beside `version`
    board     name of the board
    adopts    module whose `adopt(settings, wanted)` puts settings in force
    vitals    module that knows how the board does
    agent     sluice.agent.agent.Agent, which it tells of
    reported  hash of what was reported; 1: it is to be reported again; None: nothing was
    looked    number of the journal's record when it was told last; None: all is to be told
    """

    def __init__(self, name, key, board, adopts, vitals):
        self.name = name
        self.key = key
        self.board = board
        self.adopts = adopts
        self.vitals = vitals
        self.agent = self.reported = self.looked = self._told = None
        self._lost = 0  # times in a row that the session ended over it, as a policy may forbid it

    async def linked(self):
        """Tell it, before anything else; what is to be asked the next time: itself, or None.

        raises   Retry when the session is lost
        """
        self.reported, self.looked = self.reported and 1, None
        await self.tell()
        return self if self.name else None

    def due(self):
        """Whether there is a reason: a job has ended, a notice came, or it is time."""
        agent = self.agent
        clock = agent.clock
        return self._lost < _LOST and (
            self.looked != agent.journal["seq"]
            or clock.ticks_diff(clock.ticks_ms(), self._told)
            > max(agent.settings["poll_s"], _OFTEN_S) * 1_000
        )

    def ring(self, topic, payload):
        """A notice: nothing of it is kept but that it came."""
        self.looked = None

    async def tell(self):
        """Take what is desired and report what is; what moves alone, where that is the reason.

        A heap without room for it is said and passed over. Raises Retry when the session is lost.
        """
        if self._lost >= _LOST:
            return
        agent = self.agent
        self._lost += 1
        self._told, number = agent.clock.ticks_ms(), agent.journal["seq"]
        try:
            with Scope():  # the application has the room while the agent waits for a job
                await plug_in("sluice.clouds.aws_shadow", "tell")(agent, self, number)
        except MemoryError:
            self.looked = number
            plug_in("sluice.log", "Log")("shadow").w("no room to tell it")
        self._lost = 0
