"""What is refused although it could be done."""

from doubles import raised

from sluice import log
from sluice.errors import Fail, Refuse
from sluice.job import File
from sluice.trust import policy
from sluice.trust.policy import rank

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
                         ("1.0.0.1", "1.0"), ("0.0.1", "0.0"), ("V1.1", "v1.0"),
                         ("1.2.3.4.5.6.8", "1.2.3.4.5.6.7"), ("1.2.0", "1.2.0-rc1"),
                         ("1.2.0-rc2", "1.2.0-rc1"), ("1.2.0-rc10", "1.2.0-rc9"),
                         ("1.2.0-rc.10", "1.2.0-rc.9"), ("1.2.0-beta", "1.2.0-alpha.9"),
                         ("1.2.0-alpha.1", "1.2.0-alpha"), ("1.2.0-a", "1.2.0-1"),
                         ("1.3.0-rc1", "1.2.9"), ("9" * 40, "9" * 39)):  # fmt: skip
        policy.version(new, running, settings())
        assert raised(Fail, policy.version, running, new, settings()).reason == "downgrade"


def test_version_the_same_fails_unless_allowed():
    for new, running in (("1.0", "1.0"), ("1.0.0", "1"), ("v1.2", "1.2.0"), ("1.0-b", "1.0-b"),
                         ("0.0", "0"), ("1.0+x", "1.0"), ("1.0-a+x", "1.0.0-a+y"),
                         ("01.007", "1.7"),
                         ("1.0-rc01", "1.0-rc1")):  # fmt: skip
        assert raised(Fail, policy.version, new, running, settings()).reason == "same version"
        policy.version(new, running, settings(allow_same_version=True))


def test_version_older_fails_unless_allowed():
    for new, running in (("1.0", "1.1"), ("1.9", "1.10"), ("0", "1"), ("1.0", "1.0.1"),
                         ("1.0-rc1", "1.0"), ("1.0-5-gabcdef", "1.0")):  # fmt: skip
        error = raised(Fail, policy.version, new, running, settings(allow_same_version=True))
        assert str(error) == "downgrade %s to %s" % (running, new)
        policy.version(new, running, settings(allow_downgrade=True))


UNKNOWN = ("", "dev-build", "beta", "1.x", "1..2", "1.", ".1", "-1", "v", "vv1", "1.2beta", "1 ",
           "\u0661.\u0662", "1.\u00b2", "-rc1", "+1")  # fmt: skip


def test_version_that_cannot_be_compared_is_refused_where_a_number_runs():
    for new in UNKNOWN:
        error = raised(Fail, policy.version, new, "1.2.0", settings(allow_same_version=True))
        assert str(error) == "version cannot be compared %s with 1.2.0" % (new or "none")
        assert warned(new, "1.2.0", allow_downgrade=True)


def test_version_over_one_without_a_number_passes_with_a_warning():
    for running in UNKNOWN:
        assert warned("1.0", running) and warned("", running) and warned("dev", running)


def test_version_of_what_comes_first_is_compared_with_nothing_and_nothing_is_said():
    lines = []
    log.to(lines.append)
    try:
        policy.version("1.0", None, settings())
    finally:
        log.to(print)
    assert lines == []
    error = raised(Fail, policy.version, "1.0", None, settings(), "1.1")
    assert error.reason == "version is not the one ordered"


def warned(new, running, **changes):
    """Whether it passes, and the log says that nothing could be compared."""
    lines = []
    log.to(lines.append)
    try:
        policy.version(new, running, settings(**changes))
    finally:
        log.to(print)
    return len(lines) == 1 and "not comparable" in lines[0]


def test_version_that_is_ordered_is_that_or_the_same_by_its_rank():
    loose = settings(allow_downgrade=True, allow_same_version=True)
    for new, wanted in (("1.2.0", "v1.2"), ("1.2-rc1", "1.2.0-rc1"), ("dev", "dev")):
        policy.version(new, "1.0", loose, wanted)
    for new, wanted in (("1.2.0-rc1", "1.2.0"), ("1.2", "1.3"), ("dev", "1.2"), ("1.2", "dev")):
        error = raised(Fail, policy.version, new, "1.0", loose, wanted)
        assert error.reason == "version is not the one ordered"


def test_rank_of_what_is_no_version_is_none_and_of_no_number_is_not():
    assert all(rank(text) is None for text in UNKNOWN)
    assert rank("0") == rank("0.0.0") and rank("0") is not None
    assert rank("1.2.0.0") == rank("1.2") != rank("1.2-0")
