"""Who may look: whoever has the address that was printed, and then their browser alone.

A page cannot sign with AWS's signatures. So its address has a token in its fragment, which
browsers send nowhere. The page exchanges it for a cookie, once, and before its deadline.
"""

import hmac
import secrets
import string
import time
from collections.abc import Callable

TOKEN_LENGTH = 22  # of these signs: 131 bits
SIGNS = string.ascii_letters + string.digits  # what a terminal takes for a part of an address
TOKEN_S = 900  # from when the address was printed
SESSION_S = 12 * 3600
SESSIONS = 16  # the oldest goes first


class Access:
    """The token and the sessions of one page. `now` gives seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._token = ""  # "": there is none
        self._until = 0.0
        self._sessions: dict[str, float] = {}  # name → its end

    def token(self) -> str:
        """A new token; an earlier one is void."""
        self._token = "".join(secrets.choice(SIGNS) for _ in range(TOKEN_LENGTH))
        self._until = self._now() + TOKEN_S
        return self._token

    def exchange(self, token: str) -> str | None:
        """The name of a new session for the token; None for a wrong, used or late one."""
        known = self._token and self._now() < self._until
        if not known or not hmac.compare_digest(token.encode(), self._token.encode()):
            return None
        self._token = ""
        while len(self._sessions) >= SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        name = secrets.token_urlsafe(24)
        self._sessions[name] = self._now() + SESSION_S
        return name

    def admits(self, name: str) -> bool:
        """Whether a session of that name may look."""
        return self._now() < self._sessions.get(name, 0.0)
