"""Is the image the signer's? The one place that decides it.

The digest is of what the slot holds: taken from flash, never from what came over the link. The
keys come from files configured on the device. A job document may say which of these to use and can
never add one.
"""

import gc
import hashlib
from binascii import a2b_base64, b2a_base64, hexlify

from micropython import const

from sluice.errors import Fail
from sluice.loading import Scope, plug_in
from sluice.log import Log

_SECTOR = const(4096)
_SIGNATURE = const(512)  # bytes at most: RSA-4096; AWS itself sends up to 384

log = Log("verify")


def unpack(text):
    """The signature from its base64 in a job document.

    text     str or bytes, 4 to 684 characters, no white space
    returns  bytes, 1..512
    raises   Fail("signature: bad base64") unless `text` is the one encoding of what it decodes to
    """
    if isinstance(text, str):
        text = text.encode()
    if not 4 <= len(text) <= (_SIGNATURE + 2) // 3 * 4 or len(text) & 3:
        raise Fail("signature: bad base64", "length", len(text))
    try:
        signature = a2b_base64(text)
    except ValueError:
        raise Fail("signature: bad base64")
    # the built-in decoder skips what is not in the alphabet; encoding again shows it
    if len(signature) > _SIGNATURE or b2a_base64(signature)[:-1] != text:
        raise Fail("signature: bad base64")
    return signature


async def check(file, source, agent, size):
    """What can be read back is what the job says: by its checksum, by its signature.

    file     sluice.job.File
    source   block device that holds it: a slot, or sluice.files.staged.Staged
    size     bytes of it that are signed
    raises   Fail with the reason
    """
    digest = await sha256(source, size, agent.buffer, agent.pause)
    if file.sha256 and hexlify(digest).decode() != file.sha256:
        raise Fail("checksum does not match", file.path or "image")
    if not file.signature:
        log.w("unsigned, accepted", file.path or "image")
        return
    keys = agent.settings["signers"]
    signature = file.signature
    if isinstance(signature, str):
        signature = unpack(signature)
    words = digest, signature, file.algorithm, file.signer, keys, agent.load, agent.pause
    signer = await genuine(*words)
    log.i("signed by", signer)


async def sha256(slot, size, buffer, pause):
    """SHA-256 of the first `size` bytes of the slot, as flash holds them now."""
    return await _taken(hashlib.sha256(), slot, size, buffer, pause)


async def md5(slot, size, buffer, pause):
    """The same in MD5, which some senders tell; it finds accidents and proves nothing."""
    return await _taken(hashlib.md5(), slot, size, buffer, pause)


async def _taken(digest, slot, size, buffer, pause):
    view = memoryview(buffer)[:_SECTOR]
    for number in range(-(-size // _SECTOR)):
        slot.readblocks(number, view)
        digest.update(view[: min(_SECTOR, size - number * _SECTOR)])
        if not number & 15:
            await pause()
    return digest.digest()


async def genuine(digest, signature, algorithm, certfile, signers, load, pause):
    """The path of the configured signer whose signature this is.

    digest     bytes, 32: SHA-256 of the image as read back from flash
    signature  bytes: DER for ECDSA, the raw number for RSA
    algorithm  "ecdsa" (P-256) or "rsa" (PKCS#1 v1.5), both over SHA-256
    certfile   str from the job document, or None: see `chosen`
    signers    the paths configured on the device
    load       load(path) gives a file's bytes or raises OSError
    pause      awaited between slices of work of at most about 5 million instructions,
               so that the watchdog is fed and the application runs
    raises     Fail("no signer") if no file holds a usable key of this kind,
               Fail("bad signature") if no key matches
    """
    if algorithm not in ("ecdsa", "rsa"):
        raise Fail("bad signature", "unknown algorithm", algorithm)
    tried = False
    for path in chosen(certfile, signers):
        key = _load(path, algorithm, load)
        if not key:
            continue
        tried = True
        await pause()
        if await _matches(key, digest, signature, pause):
            log.i("genuine", path)
            return path
        log.w("signer", path, "did not sign this")
    raise Fail("bad signature") if tried else Fail("no signer", algorithm)


def chosen(certfile, signers):
    """The configured signers to try.

    A relative `certfile` selects those whose last path component is its own, an absolute one the
    signer configured under exactly that path. Anything else selects none, and then all are tried,
    as AWS's agent falls back to its built-in certificate.
    """
    certfile = certfile or ""
    parts = certfile.split("/")
    if ".." in parts or not parts[-1]:
        return signers
    if certfile.startswith("/"):
        named = [path for path in signers if path == certfile]
    else:
        named = [path for path in signers if path.split("/")[-1] == parts[-1]]
    return named or signers


def _load(path, algorithm, load):
    """The key in a signer's file, or None with a warning."""
    try:
        with Scope():  # what follows takes more of the heap than anything else
            key = plug_in("sluice.trust.x509", "public_key")(load(path))
    except OSError as error:
        log.w("signer", path, "unreadable", error)
        return None
    except Fail as error:
        log.w("signer", path, error)
        return None
    if key[0] != algorithm:
        log.w("signer", path, "holds a key for", key[0])
        return None
    return key


async def _matches(key, digest, signature, pause):
    """Run the verification slice by slice; whether it holds."""
    kind, first, second = key
    if kind == "ecdsa":
        from sluice.trust.p256 import steps
    else:
        from sluice.trust.rsa import steps
    await pause()
    gc.collect()  # verification makes about 1 MB of garbage: begin with a clean heap
    verdict = False
    for verdict in steps(first, second, digest, signature):
        await pause()
    return verdict is True
