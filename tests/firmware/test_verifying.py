"""What is verified is what flash holds, not what once passed through RAM."""

import hashlib

from doubles import SECTOR, Flash, pattern, raised, run

from sluice import log
from sluice.agent.states import verify as states
from sluice.errors import Fail, Retry
from sluice.job import File
from sluice.journal import Journal

HEAP = "1m"


class Cell:
    """A cell of the journal, in RAM."""

    data = b""

    def load(self):
        return self.data

    def save(self, data):
        self.data = data


class Agent:
    """As much of an agent as the state needs; `digests` are those that were signed for."""

    def __init__(self, size, signature=None):
        self.data = pattern(size)
        self.slots = self
        self.flash = Flash(-(-size // SECTOR))
        self.flash.data[:size] = self.data
        self.buffer = bytearray(SECTOR)
        self.settings = {"signers": ["/signer.pem"]}
        self.work = self.update = self.job = self
        file = File(size, "mqtt_stream")
        file.signature, file.algorithm = signature, "ecdsa"
        self.files = [file]
        self.journal = Journal((Cell(), Cell()))
        self.pauses, self.heads, self.dropped = 0, [], False

    def target(self):
        return self.flash

    def check(self, head):
        self.heads.append(bytes(head))

    def drop(self):
        self.dropped = True

    def load(self, path):
        raise OSError(2)

    async def pause(self):
        self.pauses += 1


class Hashing:
    """Stands where trust.verify looks for hashlib, and keeps the digests that it asks for."""

    def __init__(self):
        self.taken = []

    def sha256(self):
        self.sha = hashlib.sha256()
        return self

    def update(self, data):
        self.sha.update(data)

    def digest(self):
        self.taken.append(self.sha.digest())
        return self.taken[-1]


def digest(agent):
    """The SHA-256 that a signature would be checked against."""
    module = __import__("sluice.trust.verify", None, None, ("hashlib",))
    module.hashlib = hashing = Hashing()
    assert quiet(lambda: run(states.verifying(agent))) == "genuine"
    return hashing.taken[0]


def quiet(act):
    log.level("E")
    try:
        return act()
    finally:
        log.level("I")


def test_verifying_digest_is_of_what_flash_holds():
    for size in (81, 4_095, 4_096, 5 * SECTOR + 60):
        agent = Agent(size)
        right = hashlib.sha256(agent.data).digest()
        assert digest(agent) == right
        agent.flash.data[size - 1] ^= 1
        assert digest(agent) != right
        agent.flash.data[size - 1] ^= 1
        if size % SECTOR:
            agent.flash.data[size] ^= 1  # padding is no part of it
        assert digest(agent) == right


def test_verifying_judges_the_head_that_flash_holds():
    agent = Agent(SECTOR)
    agent.flash.data[5] ^= 1
    quiet(lambda: run(states.verifying(agent)))
    assert agent.heads == [bytes(agent.flash.data[:80])]


def test_verifying_pauses_every_16_sectors_and_needs_no_image():
    agent = Agent(40 * SECTOR)
    quiet(lambda: run(states.verifying(agent)))
    assert agent.pauses == 3 + 1 and agent.dropped, "and once after the head"


def test_verifying_a_signature_without_a_usable_signer_fails_by_name():
    error = quiet(lambda: raised(Fail, states.verifying, Agent(SECTOR, "AAAA")))
    assert error.reason == "no signer"


def test_verifying_what_a_smaller_form_made_has_the_image_come_as_it_is():
    agent = Agent(SECTOR, "AAAA")
    agent.journal.write(form=3, saved="delta: 1 of 2 bytes", written=b"\x01")
    quiet(lambda: raised(Retry, states.verifying, agent))
    assert not agent.journal.smaller() and not agent.journal.written
    assert agent.journal["saved"].startswith("whole image: no signer")
    quiet(lambda: raised(Fail, states.verifying, agent))
