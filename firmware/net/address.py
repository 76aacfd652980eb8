"""Addresses of files on servers: what they are made of, and where a redirect may lead. No I/O.

source   RFC 3986, as far as presigned addresses need it: no users, no IPv6 literals, no fragments
"""

from micropython import const

from ota.errors import Fail

_SPECIAL = b'?@[]\\"<>'
_LONGEST = const(2_048)  # characters of an address


def split(url):
    """((scheme, host name, port, Host field), index of its path) of an address. Raises Fail."""
    mark = url.find("://")
    start = url.find("/", mark + 3)
    start = len(url) if start < 0 else start
    scheme, host = url[: max(mark, 0)], url[mark + 3 : start]
    name, colon, port = host.partition(":")
    plain = all(32 < c < 127 and c != 35 for c in url.encode()) and len(url) <= _LONGEST
    if scheme not in ("http", "https") or not plain or any(c in _SPECIAL for c in host.encode()):
        raise Fail("not an address of a file")
    if not name or colon and not (port.isdigit() and len(port) <= 5):
        raise Fail("not an address of a file")
    return (scheme, name, int(port or (443 if scheme == "https" else 80)), host), start


def target(location, origin):
    """Where a redirect leads: the same host, and never from https to http. Raises Fail."""
    try:
        url = str(location or b"", "utf-8")
    except ValueError:
        url = ""
    if url[:1] == "/" and url[:2] != "//":
        return "%s://%s%s" % (origin[0], origin[3], url)
    scheme, name = split(url)[0][:2]
    if name.lower() != origin[1].lower() or (origin[0] == "https" and scheme != "https"):
        raise Fail("redirected to another host")
    return url
