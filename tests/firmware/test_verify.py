"""Which signer, which signature: the decision of sluice/trust/verify.py, on MicroPython."""

import signer_samples as sample

from sluice import log
from sluice.errors import Fail
from sluice.trust.verify import chosen, genuine, unpack

HEAP = "96k"

FILES = {
    "/certs/first.pem": sample.FIRST_CERTIFICATE,
    "/certs/second.pem": sample.SECOND_CERTIFICATE,
    "/certs/rsa.pem": sample.RSA_CERTIFICATE,
    "/certs/broken.pem": b"-----BEGIN CERTIFICATE-----\nAAAA\n",
    "/secret/second.pem": sample.SECOND_CERTIFICATE,
}
BOTH = ["/certs/first.pem", "/certs/second.pem"]


class Device:
    """Files, a pause that counts, and the warnings."""

    def __init__(self):
        self.pauses = 0
        self.loaded = []
        self.lines = []

    def load(self, path):
        self.loaded.append(path)
        if path not in FILES:
            raise OSError(2)
        return FILES[path]

    async def pause(self):
        self.pauses += 1

    def judge(
        self, signers, certfile=None, algorithm="ecdsa", text=sample.FIRST_SIGNATURE, **more
    ):
        """The signer found, or the reason of the failure."""
        digest = more.get("digest", sample.DIGEST)
        log.to(self.lines.append)
        try:
            job = genuine(
                digest, unpack(text), algorithm, certfile, signers, self.load, self.pause
            )
            job.send(None)
        except StopIteration as stop:
            return stop.value
        except Fail as error:
            return error.reason
        finally:
            log.to(print)
        raise AssertionError("verification waited for something")

    def warnings(self):
        return len([line for line in self.lines if line.startswith("W ")])


def test_verify_genuine_signature_names_its_signer():
    device = Device()
    assert device.judge(BOTH) == "/certs/first.pem"
    assert device.loaded == ["/certs/first.pem"]
    assert device.judge(BOTH, text=sample.SECOND_SIGNATURE) == "/certs/second.pem"


def test_verify_rsa_signature_names_its_signer():
    signers = BOTH + ["/certs/rsa.pem"]
    assert Device().judge(signers, None, "rsa", sample.RSA_SIGNATURE) == "/certs/rsa.pem"


def test_verify_pauses_between_slices():
    device = Device()
    device.judge(["/certs/first.pem"])
    assert device.pauses >= 17, device.pauses
    device = Device()
    device.judge(["/certs/rsa.pem"], None, "rsa", sample.RSA_SIGNATURE)
    assert device.pauses >= 16, device.pauses


def test_verify_changed_image_is_a_bad_signature():
    assert Device().judge(BOTH, digest=bytes(32)) == "bad signature"


def test_verify_foreign_signature_is_a_bad_signature():
    assert Device().judge(["/certs/second.pem"]) == "bad signature"


def test_verify_without_a_usable_signer_says_so():
    assert Device().judge([]) == "no signer"
    assert Device().judge(["/certs/gone.pem", "/certs/broken.pem"]) == "no signer"
    assert Device().judge(["/certs/rsa.pem"]) == "no signer"
    assert Device().judge(["/certs/first.pem"], None, "rsa", sample.RSA_SIGNATURE) == "no signer"


def test_verify_unusable_signers_are_skipped_with_a_warning():
    device = Device()
    signers = ["/certs/gone.pem", "/certs/broken.pem", "/certs/rsa.pem", "/certs/first.pem"]
    assert device.judge(signers) == "/certs/first.pem"
    assert device.warnings() == 3, device.lines


def test_verify_unknown_algorithm_is_refused():
    for algorithm in ("", None, "ed25519", "ECDSA"):
        assert Device().judge(BOTH, algorithm=algorithm) == "bad signature"


def test_verify_kinds_of_signature_are_not_confused():
    assert (
        Device().judge(["/certs/rsa.pem"], None, "rsa", sample.FIRST_SIGNATURE) == "bad signature"
    )
    assert Device().judge(["/certs/first.pem"], text=sample.RSA_SIGNATURE) == "bad signature"


def test_verify_certfile_selects_a_configured_signer():
    device = Device()
    assert device.judge(BOTH, "second.pem", text=sample.SECOND_SIGNATURE) == "/certs/second.pem"
    assert device.loaded == ["/certs/second.pem"]
    device = Device()
    assert device.judge(BOTH, "second.pem") == "bad signature"  # signed by the first, not asked
    assert device.loaded == ["/certs/second.pem"]


def test_verify_certfile_by_its_last_component_or_whole_path():
    second = ["/certs/second.pem"]
    for certfile in ("second.pem", "certs/second.pem", "other/second.pem", "/certs/second.pem"):
        assert chosen(certfile, BOTH) == second, certfile


def test_verify_certfile_that_names_no_signer_tries_all():
    for certfile in (
        None,
        "",
        "/",
        "unknown.pem",
        "/secret/second.pem",
        "../certs/second.pem",
        "certs/../second.pem",
        "..",
        "certs/",
        "second",
        "SECOND.PEM",
        "\0second.pem",
    ):
        assert chosen(certfile, BOTH) == BOTH, certfile


def test_verify_certfile_never_opens_a_file_that_is_not_configured():
    for certfile in ("/secret/second.pem", "../secret/second.pem", "/certs/rsa.pem", "rsa.pem"):
        device = Device()
        assert device.judge(["/certs/first.pem"], certfile) == "/certs/first.pem"
        assert device.loaded == ["/certs/first.pem"]


def test_verify_selected_signer_that_is_unreadable_is_no_signer():
    assert Device().judge(BOTH + ["/certs/gone.pem"], "gone.pem") == "no signer"


def refused(text):
    try:
        unpack(text)
    except Fail as error:
        return error.reason == "signature: bad base64"
    return False


def test_unpack_gives_the_bytes_of_text_or_bytes():
    assert unpack("AAEC") == b"\0\1\2"
    assert unpack(b"AAE=") == b"\0\1"
    assert len(unpack(sample.RSA_SIGNATURE)) == 256
    from binascii import b2a_base64

    longest = bytes(range(256)) * 2
    assert unpack(b2a_base64(longest)[:-1]) == longest


def test_unpack_truncated_text_is_bad_base64():
    whole = sample.FIRST_SIGNATURE
    for size in range(len(whole)):
        if size % 4 or not size:
            assert refused(whole[:size]), size


def test_unpack_anything_but_the_one_encoding_is_bad_base64():
    for text in (
        "",
        "=",
        "====",
        "A===",
        "AAE",
        "AAF=",  # bits that no byte takes
        "AAE=AAEC",
        "AA EC",
        " AAEC",
        "AAEC\n",
        "AAEC\r\n\r\n",
        "AAE-",
        "AA_C",
        "AAE\0",
        "AAE\u00e9",
        "A" * 688,
    ):
        assert refused(text), text
    from binascii import b2a_base64

    assert refused(b2a_base64(bytes(513))[:-1])
