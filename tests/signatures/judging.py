"""Runs signer files and signatures through the device's code on MicroPython, thousands at a time.

One line a case, `name key digest signature` in hex, "-" for nothing; one word a case comes back:
"genuine", "false", or the name of the exception that the signer file ended in.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

SCRIPT = """
import sys
from binascii import unhexlify
from sluice.trust import p256, rsa
from sluice.errors import Fail
from sluice.trust.x509 import public_key

VERIFY = {"ecdsa": p256.verify, "rsa": rsa.verify}
last = key = None

def judge(signer, digest, signature):
    global last, key
    if signer != last:
        last, key = signer, None
        try:
            key = public_key(unhexlify(signer))
        except Fail as error:
            return error.reason.replace(" ", "-")
    elif key is None:
        return "bad-signer"
    kind, first, second = key
    if digest == "-":
        return kind
    signature = b"" if signature == "-" else unhexlify(signature)
    return "genuine" if VERIFY[kind](first, second, unhexlify(digest), signature) else "false"

with open(sys.argv[1]) as cases:
    for line in cases:
        name, signer, digest, signature = line.split()
        print(name, judge(signer, digest, signature))
"""


class Case(NamedTuple):
    """What is judged, and what the verdict must be.

    An empty digest asks for the key alone: the verdict is its kind, "ecdsa" or "rsa".
    """

    name: str
    signer: bytes
    digest: bytes
    signature: bytes
    verdict: str


def misjudged(
    micropython: Callable, folder: Path, cases: Iterable[Case], arch: str, heap: str = "64k"
) -> list[str]:
    """The cases judged wrong by the port, as `name: verdict`."""
    cases = list(cases)
    assert len({case.name for case in cases}) == len(cases) > 0
    lines = [
        f"{case.name} {case.signer.hex()} {case.digest.hex() or '-'} {case.signature.hex() or '-'}"
        for case in cases
    ]
    file = folder / "cases.txt"
    file.write_text("\n".join(lines) + "\n")
    done = micropython(SCRIPT, str(file), arch=arch, heap=heap)
    verdicts = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert len(verdicts) == len(cases), done.stdout[-500:] + done.stderr
    return [
        f"{case.name}: {verdicts[case.name]}"
        for case in cases
        if verdicts[case.name] != case.verdict
    ]
