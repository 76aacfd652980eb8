"""What is refused although it could be done: unsigned images, the same version, older versions.

It is a module of its own, because a download asks it midway, when the heap is at its fullest.
"""

from sluice.errors import Fail, Refuse
from sluice.loading import plug_in
from sluice.log import Log

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
        plug_in("sluice.trust.verify", "unpack")(file.signature)


def version(new, running, settings, wanted=None):
    """Raises Fail for the same or an older version, unless the setting of that name allows it,
    and for another than the one that is wanted, if one is.

    What cannot be compared could be older: so it is refused, unless `allow_downgrade`, where what
    runs has a number. Where that has none, as MicroPython's own builds have, nothing can be said,
    and nothing is refused.

    running  "" of what tells no version; None where nothing runs, so there is nothing to compare
    """
    theirs, ours = rank(new), rank(running or "")
    if wanted and new != wanted and (not theirs or theirs != rank(wanted)):
        raise Fail("version is not the one ordered", new)
    if not theirs or not ours:
        if ours and not settings["allow_downgrade"]:
            raise Fail("version cannot be compared", new or "none", "with", running)
        if running is not None:
            log.w("versions not comparable", new or "-", running or "-")
    elif theirs == ours and not settings["allow_same_version"]:
        raise Fail("same version", new)
    elif theirs < ours and not settings["allow_downgrade"]:
        raise Fail("downgrade", running, "to", new)


def rank(text):
    """What versions are compared by: a larger one is newer; None for what is no version.

    Numbers between dots, however many; zeros at the end do not count, nor does a "v" in front.
    Then, as semantic versions have it: what follows a "-" is of before the release, so "1.2.0-rc1"
    is older than "1.2.0", and what follows a "+" does not count. Of two such endings numbers are
    compared as numbers, also within a word: "rc9" is older than "rc10".
    """
    release, dash, ending = text.partition("+")[0].partition("-")
    found = []
    for part in (release[1:] if release[:1] in ("v", "V") else release).split("."):
        if not part.isdigit():
            return None
        found.append(int(part))
    while found and not found[-1]:
        found.pop()  # 1.2 and 1.2.0 are the same
    return (found, not dash, _runs(ending))


def _runs(text):
    """The runs of digits and of other characters in a text: numbers come before words."""
    found, word = [], ""
    for char in text + ".":
        if word and (char == "." or char.isdigit() != word.isdigit()):
            found.append((0, int(word), "") if word.isdigit() else (1, 0, word))
            word = ""
        if char != ".":
            word += char
    return found
