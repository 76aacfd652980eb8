"""What is refused although it could be done."""

from doubles import raised

from ota import log, policy
from ota.errors import Fail, Refuse
from ota.job import File
from ota.policy import numbers

STRICT = {"allow_unsigned": False, "allow_same_version": False, "allow_downgrade": False}
SIGNERS = {"signers": ["/signer.pem"]}


def settings(**changes):
    found = dict(STRICT)
    found.update(SIGNERS)
    found.update(changes)
    return found


def file(signature="AAAA"):
    found = File(60, "mqtt_stream")
    found.signature = signature
    return found


def test_signature_absent_is_refused_unless_allowed():
    assert str(raised(Refuse, policy.signature, file(None), settings())) == "no signature"
    policy.signature(file(None), settings(allow_unsigned=True))
    policy.signature(file(None), settings(allow_unsigned=True, signers=[]))


def test_signature_that_nothing_can_check_is_refused_even_if_unsigned_is_allowed():
    for allowed in (False, True):
        error = raised(
            Refuse, policy.signature, file(), settings(signers=[], allow_unsigned=allowed)
        )
        assert str(error) == "no signer on the board"
    policy.signature(file(), settings())


def test_version_newer_passes():
    for new, running in (("1.0.1", "1.0.0"), ("1.10", "1.9"), ("2", "1.99.99"), ("v1.1", "1.0"),
                         ("1.0.0.1", "1.0"), ("0.0.1", "0.0")):  # fmt: skip
        policy.version(new, running, settings())


def test_version_the_same_fails_unless_allowed():
    for new, running in (("1.0", "1.0"), ("1.0.0", "1"), ("v1.2", "1.2.0"), ("1.0-b", "1.0-a"),
                         ("0.0", "0"), ("1.0+x", "1.0")):  # fmt: skip
        assert raised(Fail, policy.version, new, running, settings()).reason == "same version"
        policy.version(new, running, settings(allow_same_version=True))


def test_version_older_fails_unless_allowed():
    for new, running in (("1.0", "1.1"), ("1.9", "1.10"), ("0", "1"), ("1.0", "1.0.1")):
        error = raised(Fail, policy.version, new, running, settings(allow_same_version=True))
        assert str(error) == "downgrade %s to %s" % (running, new)
        policy.version(new, running, settings(allow_downgrade=True))


def test_version_that_cannot_be_compared_passes_with_a_warning():
    lines = []
    log.to(lines.append)
    try:
        for new, running in (("", "1.0"), ("1.0", ""), ("", ""), ("beta", "1.0"), ("1.x", "1.0")):
            policy.version(new, running, settings())
    finally:
        log.to(print)
    assert len(lines) == 5 and all("not comparable" in line for line in lines)


def test_numbers_of_versions():
    assert numbers("v1.2.10-rc") == [1, 2, 10]
    assert numbers("1.2.0.0") == [1, 2]
    assert numbers("0") == numbers("0.0.0") == [0]
    for text in ("", "x", "1..2", "1.", ".1", "-1", "v"):
        assert numbers(text) == [], text
