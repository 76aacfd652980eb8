"""Reading a job document, of which nothing is trusted."""

from sluice.errors import Refuse

_URL_MAX = 2048  # characters; presigned ones with a session's token have 1,000 to 1,500
_TEXT_MAX = 1024  # characters of a signature, a path or a name; RSA-4096 in base64 has 684
# fmt: off
_SIGNATURES = (  # key → algorithm; SHA-1 is not accepted
    ("sig-sha256-ecdsa", "ecdsa"),
    ("sig-sha256-rsa",   "rsa"),
    ("signature",        "ecdsa"),
)
# fmt: on


def field(document, key, kind, low=None, high=None, default=None):
    """One checked member of a job document.

    low, high   bounds of an int, or of the length of a str or list
    default     returned when the key is absent or null; without it the key must be there
    raises      Refuse("job document", key)
    """
    value = document.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, kind) or isinstance(value, bool) and kind is not bool:
        raise Refuse("job document lacks or misstates", key)
    measure = value if kind is int else len(value) if kind in (str, list) else low
    if low is not None and not low <= measure <= high:
        raise Refuse("job document is out of bounds at", key)
    return value


def hexadecimal(text):
    """True for digits of that, in lower case."""
    return all(c in b"0123456789abcdef" for c in text.encode())


def address(document, key):
    """A checked http or https address: printable ASCII, no spaces. Raises Refuse."""
    url = field(document, key, str, 1, _URL_MAX)
    plain = all(32 < c < 127 for c in url.encode())
    scheme, mark, rest = url.partition("://")
    if not mark or scheme.lower() not in ("http", "https") or not plain:
        raise Refuse("not an address of a file at", key)
    return url if scheme == scheme.lower() else scheme.lower() + mark + rest


def signed(document, file):
    """Fill in what a document says of a file's signature: `signature`, `algorithm`, `signer`."""
    file.signer = field(document, "certfile", str, 0, _TEXT_MAX, default="") or None
    for key, algorithm in _SIGNATURES:
        if document.get(key):
            file.signature = field(document, key, str, 1, _TEXT_MAX)
            file.algorithm = algorithm
            return
