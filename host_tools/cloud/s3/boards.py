"""What boards on the network may ask of the bucket: the files whose URLs this cloud presigned.

Whoever is on the network can knock here, so nothing else is done: no call of AWS's, no listing, no
other method than GET, and no URL that was signed with a key that others know, too.
"""

import secrets

from host_tools.cloud.http.server import Handler, HTTPAnswer, HTTPRequest
from host_tools.cloud.s3.presigned import Key, signer
from host_tools.cloud.s3.wording import S3Error, address, refusal
from host_tools.cloud.store import Store

NAME = "SLUICEBOARDS"
SETTING = "presign_secret"  # in the store: URLs outlive a restart
SECRET = 32  # bytes


def board_key(store: Store) -> Key:
    """The key of this cloud for what boards fetch; made at first use."""
    with store.transaction():
        secret = store.setting(SETTING) or secrets.token_hex(SECRET)
        store.remember(SETTING, secret)
    return Key(NAME, secret)


class ForBoards:
    """A handler in front of another, which proves the signature."""

    def __init__(self, handler: Handler, key: Key) -> None:
        self._handler = handler
        self._key = key

    def __call__(self, request: HTTPRequest) -> HTTPAnswer:
        """The one entry."""
        presigned = signer(dict(request.query)) == self._key.name
        signed = presigned and "authorization" not in request.headers
        if request.method != "GET" or not signed or not all(address(request)):
            return refusal(S3Error("AccessDenied", "Access Denied"))
        return self._handler(request)
