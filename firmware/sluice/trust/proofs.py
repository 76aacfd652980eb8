"""The signature of the image in each slot, kept beside it: what proves the image once more.

`/proof.ota_0` and its like are JSON: `signature` in base64, `algorithm`, `signer` and `signed`,
the bytes that it is of. It is written before the boot loader is told of the image, so each that
came by a job and runs, or ran, has one. It is no secret and needs no guard: the signature of
another image proves nothing. An image that was flashed by hand has none.
"""

import json
import os
from binascii import b2a_base64

from micropython import const

from sluice.errors import Fail
from sluice.loading import plug_in
from sluice.log import Log

_LIMIT = const(2048)  # bytes of the file
_TEXT = const(1024)  # characters of a member; a signature has 684 at most
_SEAL = const(12)  # bytes of a seal behind its signature: see sluice.trust.seal

log = Log("proofs")


def keep(label, file):
    """Keep what proved the image in that slot; nothing, where it has no signature. Where there is
    no room the slot has none."""
    path, signature, signed = "/proof." + label, file.signature, file.size
    if isinstance(signature, (bytes, bytearray)):  # out of the image's own seal
        signed -= _SEAL + len(signature)
        signature = b2a_base64(signature)[:-1].decode()
    try:
        if signature:
            proof = {"signature": signature, "algorithm": file.algorithm, "signed": signed}
            proof["signer"] = file.signer
            with open(path + ".new", "w") as kept:
                kept.write(json.dumps(proof))
            return os.rename(path + ".new", path)
    except OSError as error:
        log.w("signature not kept", error)
    try:
        os.remove(path)  # another image's
    except OSError:  # there was none
        pass


def _kept(label):
    """{signature, algorithm, signer, signed}; None when there is no file. Raises Fail."""
    try:
        with open("/proof." + label, "rb") as file:
            data = file.read(min(os.stat("/proof." + label)[6], _LIMIT + 1))
    except OSError:
        return None
    try:
        proof = json.loads(data) if len(data) <= _LIMIT else None
    except ValueError:
        proof = None
    if not isinstance(proof, dict) or type(proof.get("signed")) is not int:
        raise Fail("the signature that was kept is unreadable")
    for key in ("signature", "algorithm", "signer"):
        value = proof.get(key)
        if not (isinstance(value, str) and len(value) <= _TEXT or key == "signer" and not value):
            raise Fail("the signature that was kept is unreadable")
    return proof


async def prove(file, digest, slot, agent):
    """The image in the inactive slot is a signer's: by the signature of `file`, else by the one
    that was kept. Where there is neither, its digest has to do, and the log says so.

    file     sluice.job.File, of the job
    digest   SHA-256 of the image, as `slot` holds it
    raises   Fail with the reason
    """
    proof, settings = None, agent.settings
    if not file.signature:
        proof = _kept(agent.slots.inactive)
        if proof:
            file.signature, file.algorithm = proof["signature"], proof["algorithm"]
            file.signer = proof.get("signer")
    if not file.signature or settings["allow_unsigned"] and not settings["signers"]:
        log.w("no signature is known: taken by its digest")
        return
    if proof and proof["signed"] != file.size:
        if not 0 < proof["signed"] < file.size:
            raise Fail("the signature that was kept is unreadable")
        sha256 = plug_in("sluice.trust.verify", "sha256")
        digest = await sha256(slot, proof["signed"], agent.buffer, agent.pause)
    signature = plug_in("sluice.trust.verify", "unpack")(file.signature)
    words = file.algorithm, file.signer, settings["signers"], agent.load, agent.pause
    await plug_in("sluice.trust.verify", "genuine")(digest, signature, *words)
