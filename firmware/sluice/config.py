"""/config.json: what it may hold, the defaults, and the bounds; what the cloud changed of it.

It has two parts. The *linking* part is what the board needs to reach its cloud: it is sound as a
whole, or one ConfigError names the key. The *others* are judged one by one: what is misstated is
said, and replaced. null is as good as absent. `lastgood` says which file each part comes from.

Where the shadow is not turned off, /settings.json lies over it: the few settings that the cloud
may change, as it last changed them. A broken one is passed over, and the log says so.
"""

import json
import os

from micropython import const

from sluice import log as logging
from sluice.errors import Fail
from sluice.loading import plug_in
from sluice.log import LEVELS, Log
from sluice.plugins import DIALECTS

# fmt: off
REQUIRED = ("thing", "endpoint", "ca", "certificate", "private_key")
CREDENTIALS = REQUIRED[2:]
LINKING = ("port", "wifi", "ntp")  # with those that are required: what linking needs

OPTIONAL = {  # key → default, lowest and highest, of an int or of the length of the others
    "port":               (8883, 1, 65535),
    "dialect":            ("aws_jobs", 1, 32),
    "product_id":         ("", 0, 64),      # the gateway's serial number; "": the thing's name
    "devices":            ({}, 0, 8),       # of the gateway's, serial number → operation
    "order_s":            (3600, 10, 86_400),  # for an order to be carried out, then it is late
    "signers":            ([], 0, 8),       # paths of certificates or public keys on the board
    "wifi":               ({}, 0, 8),       # ssid, password
    "ntp":                (["pool.ntp.org", "time.cloudflare.com"], 0, 4),
    "block":              (4096, 256, 131_072),  # bytes; in JSON up to _JSON_BLOCK
    "window":             (262_144, 4096, 524_288),  # bytes asked for at once; once it was blocks
    "stream_format":      ("json", 4, 4),   # of streams: "json" or "cbor"
    "protocol":           ("mqtt", 4, 4),   # of a file that comes by "mqtt" and "http"
    "http_ca":            ("", 0, 255),     # path of the file servers' CA; "": the broker's
    "http_client_certificate": (False, 0, 1),  # shown to the file server that a job names
    "download_hosts":     ([], 0, 16),      # that files may come from; none: any, by HTTPS
    "report_version":     ("nrf_cloud_app_fw_version", 0, 64),  # of document 001; "": none
    "shadow":             ("classic", 0, 64),  # or its name; "", written as false: turned off
    "keepalive_s":        (60, 30, 1200),   # AWS takes less for 30
    "poll_s":             (900, 30, 86_400),  # asking for jobs, should a notice be lost
    "report_s":           (5, 1, 3600),     # between two reports of progress
    "step_timeout_min":   (0, -1, 10_080),  # of a step, kept by the cloud; 0: none set
    "trial_s":            (300, 10, 3600),  # for a new image to connect and be found healthy
    "hold_s":             (60, 0, 3600),    # for the application to let an ordered reset be
    "watchdog_s":         (120, 0, 3600),   # 0: none, as while developing
    "log":                ("I", 1, 1),
    "allow_unsigned":     (False, 0, 1),
    "allow_same_version": (False, 0, 1),
    "allow_downgrade":    (False, 0, 1),
    "allow_rollback":     (True, 0, 1),     # a job `rollback`, to the image that ran before
}
# fmt: on

OURS = REQUIRED + tuple(OPTIONAL)  # keys; the rest is the application's
_JSON_BLOCK = const(98_304)  # bytes; base64 makes 128 KiB of them, AWS's limit for a message
CHANGEABLE = ("log", "report_s", "poll_s", "block", "window")  # by the shadow's desired state

_CHOICES = {
    "dialect": DIALECTS,
    "log": LEVELS,
    "protocol": ("mqtt", "http"),
    "stream_format": ("json", "cbor"),
}
_FILE_MAX = const(16_384)  # bytes of a file
_NAME_MAX = const(128)  # characters of a thing's name; of the other texts, 255
_KEY, _TEXT = const(24), const(100)  # characters of a key that is refused, of a refusal, at most
_REFUSALS = const(8)  # that are told of, at most
_KEPT = const(512)  # bytes of /settings.json, at most; all that may be in it has 80

log = Log("config")


class ConfigError(Fail):
    """The configuration cannot be used; the text says which key and why."""


def changed(values, path="/settings.json"):
    """Lay what the cloud changed before over the configured values, where there is a shadow."""
    if values["shadow"]:
        for text in _change(values, _kept(path), {}):
            log.w(path, text)


def adopt(values, found, path="/settings.json"):
    """Put settings that may be changed and are within their bounds in force, and keep them.

    found    {key: value}, from the cloud: nothing of it is trusted
    path     the file that keeps them over a reboot; written beside and renamed
    returns  (list of at most 8 texts: what was refused and why, {key: value in force})
    """
    kept = _kept(path)
    before = json.dumps(kept)
    refused = _change(values, found, kept)
    body = json.dumps(kept)
    if body != before:
        log.i("settings", body)
        logging.level(values["log"])
        try:
            with open(path + ".new", "w") as file:
                file.write(body)
            os.rename(path + ".new", path)
        except OSError as error:
            log.w("settings not kept", error)
    return refused, {key: values[key] for key in CHANGEABLE}


def _kept(path):
    """What the cloud changed before; nothing when that cannot be read."""
    try:
        if os.stat(path)[6] > _KEPT:  # not ours: reading it could fill the heap at every start
            raise ConfigError(path + " is too large")
        return read(path)
    except OSError:
        pass
    except ConfigError as error:
        log.w("as configured, not as changed:", error)
    return {}


def _change(values, found, kept):
    """Change what may be changed, and note it in `kept`; the texts of what may not."""
    refused = []
    for key, value in found.items():
        try:
            if key not in CHANGEABLE:
                raise ConfigError("config: %s is not to be changed" % str(key)[:_KEY])
            _judge({key: value}, key)
            if key == "block":
                _judge_block({"block": value, "stream_format": values["stream_format"]})
            values[key] = kept[key] = value
        except ConfigError as error:
            refused.append(str(error)[len("config: ") : _TEXT])
    return refused[:_REFUSALS]


def read(path):
    """The JSON object in a file of at most 16 KiB. Raises ConfigError."""
    try:
        if os.stat(path)[6] > _FILE_MAX:
            raise ConfigError(path + " is too large")
        with open(path) as file:
            text = file.read()
        values = json.loads(text)
    except OSError:
        raise ConfigError("no " + path)
    except (ValueError, RuntimeError):  # the latter is of what is nested too deep
        raise ConfigError(path + " is not JSON")
    except MemoryError:
        raise ConfigError(path + " is too large")
    if _cut_off(text):
        raise ConfigError(path + " is not JSON: cut off")
    if not isinstance(values, dict):
        raise ConfigError(path + " is not a JSON object")
    return values


def _cut_off(text):
    """True when a brace may follow: MicroPython's json takes an object for closed at its end."""
    try:
        json.loads(text + "}")
    except ValueError:
        return False
    return True


def linking(values):
    """What of the values linking needs, with its defaults; `files`, the paths of CREDENTIALS.

    raises   ConfigError
    """
    found = {}
    for key in REQUIRED:
        if not _named(values.get(key)):
            raise ConfigError("config lacks " + key)
        found[key] = values[key]
    if not is_thing(found["thing"]):
        raise ConfigError("config: thing is no thing name")
    for key in LINKING:
        found[key] = _default(key) if values.get(key) is None else values[key]
        _judge(found, key)
    _judge_places(found, "endpoint", "ntp")
    found["files"], found["kept"] = [found.pop(key) for key in CREDENTIALS], False
    return found


def is_thing(name):
    """Whether that can be a thing's name."""
    return _named(name) is not None and len(name) <= _NAME_MAX and _plain(name)


def others(values, kept, tell, whole=True):
    """All but what linking needs, with the defaults; names of the credentials, if they are any.

    kept     an earlier result: it has what is given for a key that is misstated
    tell     called with a text for each of those
    whole    False: what is absent is as in `kept`, too, but for what is allowed
    """
    found = {key: _named(values.get(key)) or _named(kept.get(key)) for key in CREDENTIALS}
    for key in OPTIONAL:
        if key not in LINKING:
            found[key] = "" if key == "shadow" and values.get(key) is False else values.get(key)
            if found[key] is None and not whole and OPTIONAL[key][0] is not False:
                found[key] = kept.get(key)
            _mend(found, kept, tell, (key,), _judge)
    _mend(found, kept, tell, ("block",), _judge_block)
    _mend(found, kept, tell, ("product_id", "devices"), _judge_product)
    _mend(found, kept, tell, ("download_hosts",), _judge_places)
    product = found["dialect"] == "product"  # a platform that has no shadow
    named, key = values.get("shadow"), values.get("report_version")
    if whole and found["shadow"] != named and (product or key == ""):
        found["shadow"] = ""
    if whole and key is None and (product or named):
        found["report_version"] = "version" if found["shadow"] else ""
    return found


def _mend(found, kept, tell, keys, judge):
    """Give these keys what is kept, or their defaults, where `judge` does not take them."""
    for source in (found, kept, {}):
        for key in keys:
            value = source.get(key)
            found[key] = _default(key) if value is None else value
        try:
            judge(found, *keys)
            break
        except ConfigError as error:
            if source is found:
                tell(error)


def _default(key):
    default = OPTIONAL[key][0]
    return default.copy() if isinstance(default, (list, dict)) else default


def _named(value):
    """The value, if it can be a name; else None."""
    return value if isinstance(value, str) and 0 < len(value) <= 255 else None


def _judge(found, key):
    """Type, bounds and contents of one. Raises ConfigError."""
    value, (default, low, high) = found[key], OPTIONAL[key]
    kind = type(default)
    if type(value) is not kind:
        raise ConfigError("config: %s is not of type %s" % (key, kind.__name__))
    if not low <= (value if kind in (int, bool) else len(value)) <= high:
        raise ConfigError("config: %s is out of bounds (%d to %d)" % (key, low, high))
    if key == "block" and value % 4096 and 4096 % value:
        raise ConfigError("config: block is neither a multiple nor a divisor of 4096")
    texts = key in ("signers", "ntp", "download_hosts")
    if texts and not all(isinstance(text, str) and text for text in value):
        raise ConfigError("config: %s is no list of texts" % key)
    if key == "wifi" and not all(isinstance(text, str) for text in value.values()):
        raise ConfigError("config: wifi is not of texts")
    if key == "shadow" and not _plain(value.replace("$", "")):
        raise ConfigError("config: shadow is no name of a shadow")
    known = _CHOICES.get(key, (value,))
    if value not in known:
        raise ConfigError("config: %s %s is not one of %s" % (key, value, " ".join(known)))


def _judge_block(found, *_):
    if found["block"] > _JSON_BLOCK and found["stream_format"] == "json":
        raise ConfigError("config: block is over %d, which JSON cannot carry" % _JSON_BLOCK)


def _judge_places(found, *keys):
    """Host names, and ports that exist. Raises ConfigError."""
    place, entry = plug_in("sluice.address", "place"), plug_in("sluice.address", "entry")
    for key in keys:
        for text in [found[key]] if key == "endpoint" else found[key]:
            try:
                port = (entry if key == "download_hosts" else place)(text)[-1]
                why = "port" if key == "endpoint" and port else None
            except Fail as error:
                why = error.values[0]
            if why:
                raise ConfigError("config: %s %s: %s" % (key, text[:_TEXT], why))


def _judge_product(found, *_):
    """What the dialect `product` needs. Raises ConfigError."""
    devices = found["devices"]
    if not _plain(found["product_id"]):
        raise ConfigError("config: product_id is no serial number")
    for text in list(devices) + list(devices.values()):
        if not isinstance(text, str) or not 0 < len(text) <= 64:
            raise ConfigError("config: devices is not of serial numbers and operations")


def _plain(name):
    """AWS's alphabet for thing names, which keeps them out of topic syntax."""
    return all(65 <= c & 0xDF <= 90 or 48 <= c <= 58 or c in b"_-" for c in name.encode())
