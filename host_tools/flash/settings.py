"""The board's config.json: the thing's, with the Wi-Fi and the endpoint that the board needs.

The thing's file may lack the name and the password of the network, and an endpoint other than this
machine. If the board has these already, it keeps them, so that flashing again changes nothing.
"""

import getpass
import hashlib
import json
import os
import secrets
import sys

from sluice.board_port import BoardPort
from sluice.cloud.state import LOCAL_HOSTS
from sluice.errors import SluiceError
from sluice.flash.contents import CONFIG

PASSWORD = "SLUICE_WIFI_PASSWORD"  # environment
WATCHDOG_S = 120  # of a board whose config.json does not say
_CONFIG_MAX = 8_192  # bytes of one that is read from a board
HERE = ("localhost", "127.0.0.1", "::1", "")
_SSID, _PASSWORD = (1, 32), (8, 63)  # bytes; an open network has no password
# source: IEEE 802.11, 9.4.2.2 and annex J


def wifi(ssid: str | None) -> dict[str, str]:
    """What --wifi asks for; the password is from the environment, else asked for on the terminal.

    raises  SluiceError without saying the password
    """
    if ssid is None:
        return {}
    password = os.environ.get(PASSWORD)
    if password is None:
        if not sys.stdin.isatty():
            raise SluiceError(f"no terminal to ask for the Wi-Fi password on: set ${PASSWORD}")
        password = getpass.getpass(f"Password of the Wi-Fi {ssid} (none for an open one): ")
    if not _within(ssid, _SSID):
        raise SluiceError("the name of a Wi-Fi has 1 to 32 bytes")
    if password and not _within(password, _PASSWORD):
        raise SluiceError("the password of a Wi-Fi has 8 to 63 bytes")
    return {"ssid": ssid} | ({"password": password} if password else {})


def _within(text: str, bounds: tuple[int, int]) -> bool:
    return bounds[0] <= len(text.encode()) <= bounds[1]


def merged(
    config: dict, on_board: dict, wifi: dict[str, str], endpoint: tuple[str, int | None] | None
) -> dict:
    """What the board is to have.

    config    the thing's, with where the cloud is now
    on_board  what the board has; {} for none that is sound
    wifi      from the command line, {} for none; `endpoint` likewise
    """
    result = dict(config)
    kept = on_board.get("wifi")
    result["wifi"] = wifi or config.get("wifi") or (kept if isinstance(kept, dict) else {})
    if endpoint:
        result["endpoint"], result["port"] = endpoint[0], endpoint[1] or config.get("port", 8883)
    elif local(config) and _reaches_elsewhere(on_board, config.get("thing")):
        result["endpoint"] = on_board["endpoint"]
        result["port"] = on_board.get("port", 8883)
    listed = config.get("download_hosts")
    if local(config) and not local(result) and isinstance(listed, list):
        result["download_hosts"] = _hosts(listed, result["endpoint"])
    return result


def _hosts(listed: list, endpoint: str) -> list:
    """The thing's `download_hosts`, in which the local cloud's S3 is where its broker is."""
    there = f"http://{endpoint}:*"
    return [there if text == LOCAL_HOSTS[1] else text for text in listed]


def _reaches_elsewhere(on_board: dict, thing: object) -> bool:
    """Whether what the board has is this thing's, with an endpoint that is another machine's."""
    endpoint, port = on_board.get("endpoint"), on_board.get("port", 8883)
    sane = isinstance(endpoint, str) and isinstance(port, int)
    return sane and on_board.get("thing") == thing and not local(on_board)


def local(config: dict) -> bool:
    """Whether its endpoint is this machine, which a board on a network cannot reach so."""
    return (config.get("endpoint") or "") in HERE


def on(board: BoardPort) -> dict:
    """What the board has; {} if it is none. Its password does not cross the line in clear text,
    as a console's log may be kept."""
    key = secrets.token_bytes(16)
    raw = bytearray(board.value(f"veiled({CONFIG!r}, {_CONFIG_MAX}, {key!r})"))
    for at in range(len(raw)):
        raw[at] ^= hashlib.sha256(key + str(at - at % 32).encode()).digest()[at % 32]
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def endpoint(text: str | None) -> tuple[str, int | None] | None:
    """HOST or HOST:PORT of the command line; without a port, it is the thing's."""
    if text is None:
        return None
    host, colon, port = text.partition(":")
    number = int(port) if port.isdecimal() else 0
    if not host or "/" in text or (colon and not 0 < number < 65_536):
        raise SluiceError(f"not an endpoint: {text!r}; HOST or HOST:PORT")
    return host, number or None


def text(config: dict) -> bytes:
    """As it is written: the same for the same settings."""
    return (json.dumps(config, indent=1) + "\n").encode()
