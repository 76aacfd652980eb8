"""The uplink: from nothing to linked, and how long it waits in between."""

import sys
from random import seed

from doubles import Clock, raised, run


class Module:
    """As much of a board as an import of linking needs."""


sys.modules["board"] = Module
from sluice import log  # noqa: E402
from sluice.errors import Retry  # noqa: E402
from sluice.linking import Uplink  # noqa: E402
from sluice.net.refusals import Expired, NotYetValid  # noqa: E402

DIFFERS = True  # asyncio


class Board:
    """Wi-Fi, clock and link in one; `faults` are what the coming attempts end in, by place."""

    def __init__(self, **faults):
        self.faults = faults
        self.clock = Clock()
        self.clock.plausible = lambda: self.set
        self.clock.synchronise = self.synchronise
        self.clock.guess = self.guess
        self.clock.guessed = False
        self.set = True
        self.linked = False
        self.done = []

    def _act(self, name):
        self.done.append(name)
        if self.faults.get(name):
            raise self.faults[name].pop(0)

    async def join(self, *words):
        self._act("join")

    async def synchronise(self, servers, deadline_ms, back):
        self._act("synchronise")
        self.went_back = back
        self.set = True

    def guess(self, back):
        self._act("guess")
        self.went_back = back
        self.set = self.clock.guessed = True

    async def connect(self):
        self.clock.now += 100
        self._act("connect")
        self.linked = True

    async def start(self):
        self._act("start")

    def close(self):
        self.done.append("close")
        self.linked = False

    def reach(self, uplink, deadline_ms=None):
        log.to(lambda line: None)
        try:
            return run(uplink.reach(self.start, deadline_ms))
        finally:
            log.to(print)


class History:
    """What is kept between the times that an uplink is needed."""

    failures, since, doubt = 0, None, False


class Context:
    """A TLS context."""

    verify_callback = None


def uplink(board, wifi=True):
    board.context = Context()
    return Uplink(board if wifi else None, board.clock, board, ["ntp"], History())


def refused(count):
    return [Retry("refused") for _ in range(count)]


class Endless:
    """Faults that do not run out."""

    def pop(self, place):
        return Retry("refused")


def waits(count, **words):
    """What was slept between `count` failed attempts."""
    board = Board(connect=refused(count))
    board.reach(uplink(board, **words))
    return board.clock.slept


def test_uplink_goes_wifi_clock_link_start():
    board = Board()
    board.set = False
    board.reach(uplink(board))
    assert board.done == ["join", "synchronise", "connect", "start"]
    assert board.clock.slept == []


def test_uplink_without_wifi_and_with_the_time_set_only_connects():
    board = Board()
    board.reach(uplink(board, wifi=False))
    assert board.done == ["connect", "start"]


def test_uplink_that_fails_anywhere_tries_again_from_the_front():
    for place in ("join", "connect", "start"):
        board = Board(**{place: refused(1)})
        board.reach(uplink(board))
        assert board.done.count(place) == 2 and board.done.count("join") == 2, place
        assert len(board.clock.slept) == 1 and board.linked


def test_uplink_start_that_fails_closes_the_link():
    board = Board(start=refused(1))
    board.reach(uplink(board))
    assert board.done.count("connect") == 2 and "close" in board.done


def test_uplink_already_linked_only_starts():
    board = Board()
    board.linked = True
    board.reach(uplink(board, wifi=False))
    assert board.done == ["start"]


def test_uplink_back_off_doubles_from_1_s_to_5_min_with_full_jitter_after_a_second():
    seed(11)
    longest = [0] * 14
    shortest = [1 << 30] * 14
    for _ in range(200):
        for place, slept in enumerate(waits(14)):
            longest[place] = max(longest[place], slept)
            shortest[place] = min(shortest[place], slept)
    for place in range(14):
        ceiling = min(1_000 << place, 299_000)
        assert ceiling * 3 // 4 < longest[place] - 1_000 < ceiling, (place, longest[place])
        assert 0 <= shortest[place] - 1_000 < ceiling // 10, (place, shortest[place])


def test_uplink_back_off_stays_bounded_for_ever():
    assert max(waits(100)) < 300_000


def test_uplink_with_a_deadline_gives_up_with_the_last_reason():
    seed(3)
    for deadline_ms in (0, 1_000, 300_000):
        board = Board(connect=Endless())
        start = board.clock.now
        error = raised(Retry, board.reach, uplink(board), deadline_ms)
        assert error.reason == "refused"
        took = board.clock.now - start
        assert deadline_ms < took <= deadline_ms + deadline_ms // 8 + 200, (deadline_ms, took)


def test_uplink_with_a_deadline_tries_often_before_it():
    seed(4)
    board = Board(connect=Endless())
    raised(Retry, board.reach, uplink(board), 300_000)
    assert board.done.count("connect") >= 8


def test_uplink_that_lost_its_link_at_once_waits_before_it_comes_back():
    seed(5)
    board = Board()
    line = uplink(board)
    board.reach(line)
    for _ in range(12):
        board.linked = False
        board.reach(line)
    assert len(board.clock.slept) == 12
    assert max(board.clock.slept[6:]) > 4_000


def test_uplink_that_held_for_5_min_starts_the_waits_anew():
    board = Board(connect=refused(12))
    line = uplink(board)
    board.reach(line)
    board.clock.now += 300_001
    board.linked = False
    board.clock.slept.clear()
    board.reach(line)
    assert 1_000 <= max(board.clock.slept) < 2_000


def test_uplink_has_the_clock_go_back_where_a_certificate_has_expired_and_only_there():
    for kind, back in ((Expired, True), (NotYetValid, False), (Retry, None)):
        board = Board(connect=[kind("certificate")])
        board.went_back = None
        board.reach(uplink(board))
        assert board.went_back is back, kind


def test_uplink_goes_on_with_a_guess_where_no_time_server_answers_and_asks_again_next_time():
    board = Board(synchronise=refused(2))
    board.set = False
    line = uplink(board)
    board.reach(line)
    assert board.done == ["join", "synchronise", "guess", "connect", "start"]
    assert board.clock.slept == [] and not board.went_back
    board.linked = False
    board.reach(line)
    assert board.done.count("synchronise") == 2, "a guess is not a time"
    board.clock.guessed = board.linked = False  # the cloud has told it meanwhile
    board.reach(line)
    assert board.done.count("synchronise") == 2


def test_uplink_learns_the_time_from_the_certificate_where_a_time_server_is_of_no_help():
    """A server that lies about the past would keep the board from linking for ever."""
    for kind, answers, learns in (
        (NotYetValid, True, True),
        (Expired, True, False),
        (Retry, False, True),
    ):
        board = Board(connect=[kind("certificate")], synchronise=[] if answers else refused(2))
        board.set = answers
        context, seen = Context(), []
        board.start = lambda: connected(seen)
        connect = board.connect

        async def watched():
            seen.append(context.verify_callback is not None)
            await connect()

        async def connected(seen):
            pass

        board.connect = watched
        board.context = context
        line = Uplink(None, board.clock, board, ["ntp"], History())
        board.reach(line)
        assert seen == [not answers, learns], kind


def test_uplink_guesses_backwards_only_where_a_certificate_has_expired():
    for kind, back in ((Expired, True), (NotYetValid, False)):
        board = Board(connect=[kind("certificate")], synchronise=refused(1))
        board.reach(uplink(board))
        assert board.went_back is back and board.linked, kind


def test_uplink_error_that_is_no_hiccup_is_raised():
    board = Board(connect=[ValueError("bug")])
    raised(ValueError, board.reach, uplink(board))
