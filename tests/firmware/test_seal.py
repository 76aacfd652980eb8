"""The signature that an image carries itself: found wherever it lies, believed only when whole."""

import hashlib
from binascii import hexlify

from doubles import SECTOR, Flash, pattern, raised, run

from sluice import log
from sluice.agent.states.verify import verifying
from sluice.errors import Fail, Refuse
from sluice.job import File
from sluice.trust.policy import signature as judge
from sluice.trust.seal import find

HEAP = "1m"
MAGIC = b"sluicesg"
log.level("E")


def seal(signature, kind=1, length=None, zero=0, magic=MAGIC):
    size = len(signature) if length is None else length
    return signature + size.to_bytes(2, "little") + bytes((kind, zero)) + magic


def slot(data):
    flash = Flash(-(-len(data) // SECTOR) + 1)
    flash.data[: len(data)] = data
    return flash


def found(data):
    return find(slot(data), len(data), bytearray(SECTOR))


def test_seal_is_found_over_any_border_of_sectors():
    mark = bytes(range(72))
    for size in (1, 100, SECTOR - 84, SECTOR - 40, SECTOR - 12, SECTOR - 5, SECTOR, 2 * SECTOR):
        image = bytes(pattern(size))
        assert found(image + seal(mark)) == (size, mark, "ecdsa"), size


def test_seal_of_the_longest_signature_is_found():
    mark = bytes(pattern(512))
    image = bytes(pattern(SECTOR - 100))
    assert found(image + seal(mark, 2)) == (len(image), mark, "rsa")


def test_seal_that_is_none_is_not_found():
    image = bytes(pattern(5000))
    for end in (
        b"",
        MAGIC,
        seal(b""),
        seal(b"abc", kind=0),
        seal(b"abc", kind=3),
        seal(b"abc", zero=1),
        seal(b"abc", length=513),
        seal(b"abc", length=6000),
        seal(b"abc", magic=b"sluicesG"),
        seal(b"abc") + b"\xff",
    ):
        assert found(image + end) is None, end
    assert found(seal(b"abc")) is None and found(b"a") is None


class Journal:
    """Of an image that comes as it is."""

    def smaller(self):
        return False


class Agent:
    """As much of an agent as verifying needs, with a sealed image in its slot."""

    journal = Journal()

    def __init__(self, data, unsigned=False, signers=()):
        self.slots = self
        self.target = lambda: slot(data)
        self.buffer = bytearray(SECTOR)
        self.settings = {"signers": list(signers), "allow_unsigned": unsigned}
        self.work = self.update = self.job = self
        file = File(len(data), "http_range")
        file.sealed = True
        self.files = [file]

    def check(self, head):
        pass

    def drop(self):
        pass

    def load(self, path):
        raise OSError(2)

    async def pause(self):
        pass


def test_image_without_a_seal_is_not_taken_unless_that_is_allowed():
    image = bytes(pattern(5000))
    fault = raised(Fail, verifying, Agent(image, signers=["/a"]))
    assert str(fault) == "no signature, neither in the order nor in the image"
    assert run(verifying(Agent(image, unsigned=True))) == "genuine"


def test_image_with_a_seal_is_proven_where_anything_can_prove_it():
    image = bytes(pattern(5000)) + seal(b"x" * 70)
    for unsigned in (False, True):
        fault = raised(Fail, verifying, Agent(image, unsigned, ["/a"]))
        assert str(fault) == "no signer ecdsa", fault  # it was looked for
    assert run(verifying(Agent(image, unsigned=True))) == "genuine"


def test_image_with_another_md5_is_not_taken():
    image = bytes(pattern(5000))
    agent = Agent(image, unsigned=True)
    agent.files[0].md5 = "0" * 32
    assert str(raised(Fail, verifying, agent)) == "md5 is not the one ordered"
    agent.files[0].md5 = hexlify(hashlib.md5(image).digest()).decode()
    assert run(verifying(agent)) == "genuine"


def test_file_that_is_to_be_sealed_is_refused_where_nothing_could_prove_it():
    file = File(9, "http_range")
    settings = {"allow_unsigned": False, "signers": []}
    assert str(raised(Refuse, judge, file, settings)) == "no signature"
    file.sealed = True
    assert str(raised(Refuse, judge, file, settings)) == "no signer on the board"
    judge(file, {"allow_unsigned": False, "signers": ["/a"]})
    judge(file, {"allow_unsigned": True, "signers": []})
