"""The key of a cloud, and a service that answers only who signs with it."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from sluice.cloud.http.rest import BODY_BYTES, error
from sluice.cloud.http.server import HTTPAnswer, HTTPRequest
from sluice.cloud.http.sigv4 import Fault, Key, Signable, Unproved, fresh, of_header, prove
from sluice.cloud.store import Store

PREFIX = "SLUICE"  # of a key's name; AWS's begin with AKIA


def own_key(store: Store) -> Key:
    """The key of this state folder; made at first use, because URLs outlive a restart."""
    with store.transaction():
        name = store.setting("access_key") or PREFIX + secrets.token_hex(7).upper()
        secret = store.setting("secret_key") or secrets.token_urlsafe(30)
        store.remember("access_key", name)
        store.remember("secret_key", secret)
    return Key(name, secret)


class Service(Protocol):
    """A handler that has a name in signatures."""

    signing_name: str

    def __call__(self, request: HTTPRequest) -> HTTPAnswer:
        """The one entry."""


class Signed:
    """A service behind the proof of its requests. `now` gives seconds since 1970."""

    def __init__(self, service: Service, key: Key, now: Callable[[], float]) -> None:
        self.signing_name = service.signing_name
        self._service = service
        self._key = key
        self._now = now

    def __call__(self, request: HTTPRequest) -> HTTPAnswer:
        """The one entry."""
        try:
            body = self._proved(request)
        except Unproved as fault:
            return error(403, fault.fault.value[1], str(fault))
        except ValueError as fault:
            return error(413, "RequestEntityTooLargeException", str(fault))
        return self._service(replace(request, body=iter((body,) if body else ())))

    def _proved(self, request: HTTPRequest) -> bytes:
        """The body, when all is well. It is not read before the key's name and the time are."""
        claim = of_header(request.headers)
        fresh(claim, self._now())
        if claim.key != self._key.name:
            raise Unproved(Fault.KEY, f"the access key {claim.key} is not this cloud's")
        body = request.read(BODY_BYTES)
        payload = hashlib.sha256(body).hexdigest()
        if request.headers.get("x-amz-content-sha256", payload) != payload:
            raise Unproved(Fault.BODY, "the body is not the one that was signed")
        where = request.method, request.raw_path, request.query
        prove(claim, self._key, Signable(*where, request.headers, payload))
        return body
