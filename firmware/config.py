"""/config.json: what it may hold, the defaults, and the bounds; what the cloud changed of it.

A file that is not JSON, lacks a key or misstates one ends in one ConfigError that names the key;
null is as good as absent.
Keys that are not known here are kept, for the application.

Where a shadow is configured, /settings.json lies over it: the few settings that the cloud may
change, as it last changed them. A broken one is passed over, and the log says so.
"""

import json
import os

from micropython import const

from ota import log as logging
from ota.errors import Fail
from ota.log import LEVELS, Log
from ota.plugins import DIALECTS

# fmt: off
REQUIRED = ("thing", "endpoint", "ca", "certificate", "private_key")

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
    "window":             (8, 1, 512),      # blocks asked for at once, 128 KiB at most
    "stream_format":      ("json", 4, 4),   # of streams: "json" or "cbor"
    "protocol":           ("mqtt", 4, 4),   # of a file that comes by "mqtt" and "http"
    "http_ca":            ("", 0, 255),     # path of the file servers' CA; "": the broker's
    "report_version":     ("nrf_cloud_app_fw_version", 0, 64),  # of document 001; "": none
    "shadow":             ("", 0, 64),      # "": none; "classic", or the name of a shadow
    "keepalive_s":        (60, 30, 1200),   # AWS takes less for 30
    "poll_s":             (900, 30, 86_400),  # asking for jobs, should a notice be lost
    "report_s":           (5, 1, 3600),     # between two reports of progress
    "step_timeout_min":   (0, -1, 10_080),  # of a step, kept by the cloud; 0: none set
    "trial_s":            (300, 10, 3600),  # for a new image to connect and be found healthy
    "hold_s":             (60, 0, 3600),    # for the application to let an ordered reset be
    "watchdog_s":         (0, 0, 300),      # 0: none, as while developing
    "log":                ("I", 1, 1),
    "allow_unsigned":     (False, 0, 1),
    "allow_same_version": (False, 0, 1),
    "allow_downgrade":    (False, 0, 1),
    "allow_rollback":     (True, 0, 1),     # a job `rollback`, to the image that ran before
}
# fmt: on

_JSON_BLOCK = const(98_304)  # bytes; base64 makes 128 KiB of them, AWS's limit for a message
CHANGEABLE = ("log", "report_s", "poll_s", "block", "window")  # by the shadow's desired state

_CHOICES = {
    "dialect": DIALECTS,
    "log": LEVELS,
    "protocol": ("mqtt", "http"),
    "stream_format": ("json", "cbor"),
}
_NAME_MAX = const(128)  # characters of a thing's name; of the other texts, 255
_KEY = const(24)  # characters of a key that is refused, at most
_TEXT = const(100)  # characters of a refusal, at most
_REFUSALS = const(8)  # that are told of, at most
_KEPT = const(512)  # bytes of /settings.json, at most; all that may be in it has 80

log = Log("config")


class ConfigError(Fail):
    """The configuration cannot be used; the text says which key and why."""


def load(path, file="/settings.json"):
    """Read and check the configuration; where a shadow is configured, lay `file` over it.

    raises   ConfigError
    """
    values = check(_read(path))
    if values["shadow"]:
        for text in _change(values, _kept(file), {}):
            log.w(file, text)
    return values


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
        return _read(path)
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
            _judge(key, value)
            if key == "block":
                _judge_block(value, values["stream_format"])
            values[key] = kept[key] = value
        except ConfigError as error:
            refused.append(str(error)[len("config: ") : _TEXT])
    return refused[:_REFUSALS]


def _read(path):
    """The JSON object in a file. Raises ConfigError."""
    try:
        with open(path) as file:
            text = file.read()
        values = json.loads(text)
    except OSError:
        raise ConfigError("no " + path)
    except ValueError:
        raise ConfigError(path + " is not JSON")
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


def check(values):
    """The values with the defaults filled in. Raises ConfigError."""
    for key in REQUIRED:
        value = values.get(key)
        if not isinstance(value, str) or not 0 < len(value) <= 255:
            raise ConfigError("config lacks " + key)
    if len(values["thing"]) > _NAME_MAX or not _plain(values["thing"]):
        raise ConfigError("config: thing is no thing name")
    if values.get("report_version") is None and values.get("shadow"):
        values["report_version"] = "version"
    if values.get("report_version") is None and values.get("dialect") == "product":
        values["report_version"] = ""  # a platform that has no shadow
    for key, (default, _, _) in OPTIONAL.items():
        if values.get(key) is None:
            values[key] = default.copy() if isinstance(default, (list, dict)) else default
        _judge(key, values[key])
    _judge_block(values["block"], values["stream_format"])
    _judge_product(values["product_id"], values["devices"])
    return values


def _judge(key, value):
    """Type, bounds and contents of one. Raises ConfigError."""
    default, low, high = OPTIONAL[key]
    kind = type(default)
    if type(value) is not kind:
        raise ConfigError("config: %s is not of type %s" % (key, kind.__name__))
    if not low <= (value if kind in (int, bool) else len(value)) <= high:
        raise ConfigError("config: %s is out of bounds (%d to %d)" % (key, low, high))
    if key == "block" and value % 4096 and 4096 % value:
        raise ConfigError("config: block is neither a multiple nor a divisor of 4096")
    if key in ("signers", "ntp") and not all(isinstance(text, str) and text for text in value):
        raise ConfigError("config: %s is no list of texts" % key)
    if key == "wifi" and not all(isinstance(text, str) for text in value.values()):
        raise ConfigError("config: wifi is not of texts")
    if key == "shadow" and not _plain(value.replace("$", "")):
        raise ConfigError("config: shadow is no name of a shadow")
    known = _CHOICES.get(key, (value,))
    if value not in known:
        raise ConfigError("config: %s %s is not one of %s" % (key, value, " ".join(known)))


def _judge_block(block, stream_format):
    if block > _JSON_BLOCK and stream_format == "json":
        raise ConfigError("config: block is over %d, which JSON cannot carry" % _JSON_BLOCK)


def _judge_product(name, devices):
    """What the dialect `product` needs. Raises ConfigError."""
    if not _plain(name):
        raise ConfigError("config: product_id is no serial number")
    for text in list(devices) + list(devices.values()):
        if not isinstance(text, str) or not 0 < len(text) <= 64:
            raise ConfigError("config: devices is not of serial numbers and operations")


def _plain(name):
    """AWS's alphabet for thing names, which keeps them out of topic syntax."""
    return all(65 <= c & 0xDF <= 90 or 48 <= c <= 58 or c in b"_-" for c in name.encode())
