"""What proves an image once more: its signature, from the job or as it was kept."""

import signer_samples as sample
from doubles import SECTOR, Flash, run
from medium import Board, fill, read, write

from sluice import log
from sluice.errors import Fail
from sluice.job import File
from sluice.loading import exists
from sluice.trust import proofs

HEAP = "4m"
CONTENT = b"sluice"  # what the samples sign
SIGNERS = {"/first.pem": sample.FIRST_CERTIFICATE, "/second.pem": sample.SECOND_CERTIFICATE}


class Agent:
    """A board whose inactive slot, ota_0, holds `content`."""

    inactive = "ota_0"

    def __init__(self, content=CONTENT, signers=("/first.pem",), unsigned=False):
        self.slots = self
        self.slot = Flash(1)
        self.slot.data[: len(content)] = content
        self.size = len(content)
        self.buffer = bytearray(SECTOR)
        self.settings = {"signers": list(signers), "allow_unsigned": unsigned}
        self.lines = []

    def load(self, path):
        return SIGNERS[path]

    async def pause(self):
        pass

    def prove(self, signature=None):
        """The reason of the failure; None when it is proved."""
        log.to(self.lines.append)
        try:
            run(self._prove(signature))
        except Fail as error:
            return str(error)
        finally:
            log.to(print)
        return None

    async def _prove(self, signature):
        digest = await __import__("sluice.trust.verify", None, None, ("sha256",)).sha256(
            self.slot, self.size, self.buffer, self.pause
        )
        await proofs.prove(came(signature, self.size), digest, self.slot, self)


def came(signature=sample.FIRST_SIGNATURE, size=len(CONTENT)):
    """The file of a job."""
    file = File(size, None)
    file.signature, file.algorithm = signature, "ecdsa"
    return file


def test_proof_that_was_kept_proves_the_image_again():
    with Board():
        proofs.keep("ota_0", came())
        agent = Agent()
        assert agent.prove() is None and any("genuine /first.pem" in line for line in agent.lines)


def test_proof_of_another_image_or_of_a_signer_who_is_none_any_more_fails():
    with Board():
        proofs.keep("ota_0", came())
        assert Agent(b"sluicf").prove() == "bad signature"
        assert Agent(signers=["/second.pem"]).prove() == "bad signature"
        proofs.keep("ota_0", came(sample.SECOND_SIGNATURE))
        assert Agent().prove() == "bad signature"
        assert Agent(signers=[]).prove() == "no signer ecdsa"


def test_proof_of_the_job_comes_before_the_one_that_was_kept():
    with Board():
        proofs.keep("ota_0", came(sample.SECOND_SIGNATURE))
        assert Agent().prove(sample.FIRST_SIGNATURE) is None
        proofs.keep("ota_0", came())
        assert Agent().prove(sample.SECOND_SIGNATURE) == "bad signature"
        assert Agent().prove("AAAA") == "bad signature"


def test_proof_is_of_its_own_slot_only():
    with Board():
        proofs.keep("ota_1", came())
        agent = Agent()
        assert agent.prove() is None and "no signature is known" in agent.lines[-1]


def test_proof_of_an_image_that_brings_its_own_is_over_what_is_before_the_seal():
    from binascii import a2b_base64

    signature = a2b_base64(sample.FIRST_SIGNATURE)
    sealed = CONTENT + signature + bytes(12)
    with Board():
        proofs.keep("ota_0", came(signature, len(sealed)))
        assert Agent(sealed).prove() is None
        assert Agent(b"x" + sealed[1:]).prove() == "bad signature"


def test_proof_of_an_image_without_a_signature_takes_the_one_before_away():
    with Board():
        proofs.keep("ota_0", came())
        assert exists("/proof.ota_0")
        proofs.keep("ota_0", came(None))
        assert not exists("/proof.ota_0")
        proofs.keep("ota_0", came(None))


def test_proof_without_room_for_it_is_none_and_not_the_one_before():
    with Board():
        proofs.keep("ota_0", came(sample.SECOND_SIGNATURE))
        fill()
        whole, proofs.os = proofs.os, Refusing(proofs.os)
        try:
            proofs.keep("ota_0", came())
        finally:
            proofs.os = whole
        assert not exists("/proof.ota_0")


class Refusing:
    """os, where nothing can be renamed."""

    def __init__(self, os):
        self.remove = os.remove

    def rename(self, old, new):
        raise OSError(28)


def test_proof_that_is_damaged_fails_and_says_so():
    with Board():
        proofs.keep("ota_0", came())
        good = read("/proof.ota_0")
        for data in (b"", b"x", b"[]", b"{}", good[:-9], good.replace(b'"signed"', b'"sighed"'),
                     good.replace(b": 6", b": true"), good.replace(b": 6", b": 0"),
                     good.replace(b": 6", b": -6"), good.replace(b": 6", b": 7"),
                     good.replace(b'"ecdsa"', b"5"), good.replace(b'"ecdsa"', b"null"),
                     good + b" " * 100_000, b"\xff" * 40):  # fmt: skip
            write("/proof.ota_0", data)
            said = Agent().prove()
            assert said == "the signature that was kept is unreadable", (data[:99], said)
        write("/proof.ota_0", good.replace(b'"ecdsa"', b'"none"'))
        assert Agent().prove() == "bad signature unknown algorithm none"


def test_proof_is_passed_over_where_all_images_are_taken_and_nothing_could_check_it():
    with Board():
        proofs.keep("ota_0", came())
        assert Agent(b"other", signers=[], unsigned=True).prove() is None
        assert Agent(b"sluicf", unsigned=True).prove() == "bad signature"
