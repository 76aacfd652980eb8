"""What is loaded when it is needed, and forgotten when a state or a scope of it ends."""

import gc
import sys

from doubles import Clock, raised, run

from sluice import loading, log
from sluice.agent.agent import Agent
from sluice.errors import Retry
from sluice.loading import Scope, forget, keep, plug_in
from sluice.slots.tree import Trees

VERIFY, RSA = "sluice.trust.verify", "sluice.trust.rsa"


class Stays:
    """A journal, slots and a dialect for a start with nothing to do."""

    phase, trial, running, version = "idle", False, "ota_0", "1.0.0"

    def __init__(self, *faults):
        self.faults = list(faults)

    healthy = hold = None

    def __getitem__(self, key):
        return None

    async def linked(self):
        """Nothing to subscribe to."""

    async def reach(self, start, deadline_ms, idle):
        plug_in(VERIFY, "sha256")
        if self.faults:
            raise self.faults.pop(0)
        await start()


def agent(*faults):
    """An agent that loads a module while it connects."""
    world = Stays(*faults)
    made = Agent(
        world, Trees({}, False, "BOARD"), world, world, world.reach, None, Clock(), {}, None,
        world, None, bytearray(1), None, None,
    )  # fmt: skip
    made.before = tuple(sys.modules)
    keep(sys.modules)
    return made


def loaded(before):
    return [path for path in sys.modules if path not in before]


def quietly(act):
    log.to(lambda line: None)
    try:
        return act()
    finally:
        log.to(print)


def test_state_that_is_left_leaves_none_of_its_code():
    one = agent()
    for state, following in (("BOOTING", "CONNECTING"), ("CONNECTING", "IDLE")):
        one.state = state
        quietly(lambda: run(one.step()))
        assert one.state == following and not loaded(one.before)


def test_state_that_ends_by_an_error_leaves_none_of_its_code():
    one = agent(KeyboardInterrupt())
    one.state = "CONNECTING"
    raised(KeyboardInterrupt, lambda: quietly(lambda: run(one.step())))
    assert not loaded(one.before)


def test_code_is_forgotten_before_a_full_heap_is_judged():
    """What follows takes room: the table is loaded for it, and the fault is told."""
    seen, one = [], agent(MemoryError("full"))
    one.state = "CONNECTING"
    log.to(lambda line: seen.append(VERIFY in sys.modules))
    try:
        raised(MemoryError, lambda: run(one.step()))
    finally:
        log.to(print)
    assert not any(seen) and not loaded(one.before)


def test_scope_forgets_what_was_loaded_within_and_nothing_else():
    keep(())
    plug_in(VERIFY, "sha256")
    before = set(sys.modules)
    with Scope():
        plug_in(RSA, "verify")
        assert RSA in sys.modules
        plug_in(VERIFY, "sha256")
    assert set(sys.modules) == before
    assert not hasattr(sys.modules["sluice.trust"], "rsa")
    forget([path for path in before if path != VERIFY])


def test_scope_within_a_scope_forgets_its_own_first():
    before = set(sys.modules)
    with Scope():
        plug_in(VERIFY, "sha256")
        with Scope():
            plug_in(RSA, "verify")
        assert RSA not in sys.modules and VERIFY in sys.modules
    assert set(sys.modules) == before


def test_scope_that_is_left_by_an_error_forgets_and_lets_it_go_on():
    before = set(sys.modules)

    def scoped():
        with Scope():
            plug_in(RSA, "verify")
            raise Retry("no answer")

    raised(Retry, scoped)
    assert set(sys.modules) == before


def test_scope_that_could_not_begin_is_not_open():
    """Else nothing would be collected before a load from then on."""
    modules, collections = sys.modules, []

    class Full:
        def __iter__(self):
            raise MemoryError

    loading.sys = type("sys", (), {"modules": Full()})
    try:
        raised(MemoryError, Scope().__enter__)
    finally:
        loading.sys = sys
    loading.gc = type("gc", (), {})
    loading.gc.collect = lambda: collections.append(1)
    try:
        plug_in(RSA, "verify")
    finally:
        loading.gc = gc
    assert collections == [1] and sys.modules is modules
    forget([path for path in sys.modules if path != RSA])


def test_operation_of_the_boards_own_folder_is_forgotten_and_the_applications_modules_are_not():
    sys.modules["operations"] = sys.modules["operations.blink"] = sys.modules["pump"] = Stays
    try:
        forget([path for path in sys.modules if path[:10] != "operations"])
        assert "pump" in sys.modules
        assert "operations" not in sys.modules and "operations.blink" not in sys.modules
    finally:
        sys.modules.pop("pump")
