"""What is refused although it could be done: unsigned images, the same version, older versions."""

from ota.errors import Fail, Refuse
from ota.loading import let_go, plug_in
from ota.log import Log

log = Log("policy")


def signature(file, settings):
    """Raises Refuse for a file without a signature, unless `allow_unsigned` is set, and for one
    that nothing on the board could check; Fail for one that is no base64. Of one that is to carry
    its signature itself, nobody knows yet whether it does."""
    if not file.signature and settings["allow_unsigned"]:
        return
    if not file.signature and not file.sealed:
        raise Refuse("no signature")
    if not settings["signers"]:
        raise Refuse("no signer on the board")
    if file.signature:
        plug_in("ota.verify", "unpack")(file.signature)
        let_go("ota.verify")


def version(new, running, settings, wanted=None):
    """Raises Fail for the same or an older version, unless the setting of that name allows it,
    and for another than the one that is wanted, if one is.

    Versions are compared number by number; where one is missing or has no numbers, nothing can
    be said, and nothing is refused.
    """
    theirs, ours = numbers(new), numbers(running)
    if wanted and new != wanted and (not theirs or theirs != numbers(wanted)):
        raise Fail("version is not the one ordered", new)
    if not theirs or not ours:
        log.w("versions not comparable", new or "-", running or "-")
    elif theirs == ours and not settings["allow_same_version"]:
        raise Fail("same version", new)
    elif theirs < ours and not settings["allow_downgrade"]:
        raise Fail("downgrade", running, "to", new)


def numbers(text):
    """The numbers at the front of a version, as a list: "v1.2.10-rc" → [1, 2, 10]; [] for none."""
    found = []
    for part in text.lstrip("v").split("-")[0].split("+")[0].split(".")[:6]:
        if not part.isdigit():
            return []
        found.append(int(part))
    while found and not found[-1]:
        found.pop()  # 1.2 and 1.2.0 are the same
    return found or [0]
