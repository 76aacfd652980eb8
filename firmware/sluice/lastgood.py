"""Which configuration a start uses: /config.json, or what was kept of the last good one.

It has two parts, which may come from two files:

- **Linking**: thing, endpoint, port, Wi-Fi, time servers, credentials. The board goes the way that
linked last, which `lastlink` keeps, in these cases: it cannot read /config.json, a key of that
part is missing or wrong there, or it cannot read or use the credentials. Where it can be read, but
is another than
  what linked last, it is tried first, for `trial_s`. Then the kept way has its turn, and so on:
  see `lastlink`. /config.json itself is never written here.
- **The others**, trust among them: `signers`, `allow_…`, where files may come from. They are the
newest that could be read, never those that linked. The board notes them in /lastgood.rest as soon
as it has read them, before anything links. For a wrong value the noted one counts. So it does for
a key that is missing from a file which lacks keys for linking. But a missing `allow_…` allows
nothing that is off by default. With no note there are the defaults, which trust no signer.

So who can jam the radio, or cut the power, has the board go the way that linked last, and no more.
It meets a server there which that way's own CA has signed. It takes only what the newest signers
have signed. A cut damages neither file, because each is written beside its place and renamed. Once
the newer way has linked, nothing of the older one is left.

What was passed over is noted, too: /lastgood.passed holds a digest of the configuration that the
board linked without. A start that finds the same goes the kept way first. **An image on trial**
goes only the way that its predecessor went. If it cannot read that, or cannot link with it, this
may be its own fault, and ends its trial. It writes none of these files.

A board that is given to another **thing** must not speak for the old one. A configuration that
names another thing voids the kept way as soon as that can be read, before the new one has linked.
"""

import hashlib
import json
from binascii import hexlify

from micropython import const

from sluice import config, lastlink
from sluice.errors import Fail
from sluice.log import Log

CONFIG = "/config.json"
_PIECE = const(512)

log = Log("config")


def load(trial=False, keep=True):
    """The settings of this start; its `ways` are what lastlink.py goes by.

    trial    of the image that runs: True leaves everything as it is, and allows no other way
    keep     note what is to be noted; without it, this is but a look
    raises   Fail, saying why, when there is no way at all
    """
    found, newest, fault = {}, None, None
    try:
        found = config.read(CONFIG)
        newest = config.linking(found)
    except Fail as error:
        fault = error
    tell = log.w if keep else lambda *words: None
    keep = keep and not trial
    settings = {key: found[key] for key in found if key not in config.OURS}
    settings.update(_others(found, newest, keep, tell))
    ways = _ways(found, newest, fault, trial, keep)
    settings["thing"] = ways["turns"][0]["thing"]
    settings["ways"] = ways
    if ways["why"]:
        tell("the way that linked last is taken:", ways["why"])
    own = [settings.pop(key) for key in config.CREDENTIALS] + [settings["http_ca"]]
    settings["own"] = [path for path in own + settings["signers"] if path]
    config.changed(settings)
    return settings


def _ways(found, newest, fault, trial, keep):
    """turns     linking parts, in the order in which they are tried
    why          why it begins with the kept one; None when it does not
    identity     of the newest one; None when it cannot be used
    state        digest of what may be passed over
    passed       whether it is noted as passed over
    due          whether there is something to note once a link is up
    rounds       times that the kept way had its turn
    again        whether the newer one is to be tried again, later
    """
    kept, known = lastlink.load()
    identity = None
    try:
        identity = newest and lastlink.identity(newest)
    except Fail as error:
        fault = error
    if kept and config.is_thing(found.get("thing")) and found["thing"] != kept["thing"]:
        log.w("the way that linked last is another thing's:", kept["thing"])
        if keep:
            lastlink.remove(lastlink.PATH)
        kept = known = None
    state = _state(identity)
    ways = {"identity": identity, "state": state, "rounds": 0, "again": False}
    ways["passed"] = state == lastlink.noted(lastlink.PASSED)
    _order(ways, newest if identity else None, kept, known, fault)
    if trial and ways["why"] and not ways["passed"]:
        raise fault
    if trial:
        del ways["turns"][1:]
    return ways


def _order(ways, newest, kept, known, fault):
    """Fill in turns, why and due. Raises `fault` when there is no way."""
    ways["turns"], ways["why"], ways["due"] = [], None, not ways["passed"]
    if newest:
        servers = kept["ntp"] if kept else []
        new = [server for server in newest["ntp"] if server not in servers]
        newest["ntp"] = _both(newest["ntp"], servers)
        ways["turns"] = [newest]
        if known == ways["identity"]:
            ways["due"] = ways["passed"] or bool(new)
            return
        if kept:
            kept["ntp"] = newest["ntp"]
    if kept:
        if newest and ways["passed"]:
            fault = CONFIG + " did not link"
        if not newest or ways["passed"]:
            ways["why"] = str(fault)
        ways["turns"].insert(0 if ways["why"] else 1, kept)
    elif newest:
        ways["due"] = True
    else:
        raise fault


def _both(first, others):
    """Servers in turn from both, so that a list which is wrong does not hide the other."""
    others, found = [server for server in others if server not in first], []
    for at in range(max(len(first), len(others))):
        found += first[at : at + 1] + others[at : at + 1]
    return found[: lastlink.SERVERS]


def _others(found, whole, keep, tell):
    """All but the linking part, from the newest configuration that was readable.

    whole    whether it has a sound linking part, and so has not lost any keys, either
    """
    noted = {}
    try:
        text = lastlink.noted(lastlink.REST)
        if hexlify(hashlib.sha256(text[64:]).digest()) == text[:64]:
            noted = json.loads(text[64:])
    except ValueError:
        pass
    if not isinstance(noted, dict):
        noted = {}
    if not found:
        return config.others(noted, {}, tell)
    values = config.others(found, noted, tell, whole)
    if keep and values != noted:
        body = json.dumps(values).encode()
        if not lastlink.note(lastlink.REST, hexlify(hashlib.sha256(body).digest()) + body):
            lastlink.remove(lastlink.REST)  # rather none than one that trusts as before
    return values


def _state(identity):
    """A digest, in hex, of /config.json as it is written and of the credentials it names."""
    found, piece = hashlib.sha256(identity or b""), memoryview(bytearray(_PIECE))
    try:
        with open(CONFIG, "rb") as file:
            size = 1
            while size:
                size = file.readinto(piece)
                found.update(piece[:size])
    except OSError:  # that is a state, too
        pass
    return hexlify(found.digest())
