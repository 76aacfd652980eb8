"""Whose requests are heard: a web page, under whatever name it has this machine called, is none's.

A web page can make the browser send requests to this machine. It may do so openly, with an Origin,
or under a host name of its own that leads to an address of this machine.
"""

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit


class Doorkeeper:
    """Knows the names of the server at that address."""

    def __init__(self, address: str) -> None:
        self._address = ip_address(address)

    def refusal(self, headers: Mapping[str, str]) -> str | None:
        """Why a request with these headers is not heard; None when it is."""
        host = headers.get("host", "")
        if not self._is_ours(host):
            return f"{host!r} is no name of this cloud"
        origin = headers.get("origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return f"requests of pages of {origin!r} are not heard"
        return None

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            if name == "localhost" or name.endswith(".localhost"):
                return True
            address = ip_address(name)
        except ValueError:
            return False
        anywhere = self._address.is_unspecified
        return address.is_loopback or anywhere or address == self._address
