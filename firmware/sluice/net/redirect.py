"""Where a redirect leads. Loaded when the first one comes. No I/O.

source   RFC 3986, section 5: a reference is resolved against the address that was asked for
"""

from sluice.address import barred
from sluice.errors import Fail


def target(location, url, hosts):
    """(address, None) that a Location leads to; (None, words) where it must not be followed.

    location   bytes of the field, or None when the answer has none
    url        the address that was answered so
    hosts      `download_hosts` of config.json
    """
    try:
        where = resolved(str(location or b"", "utf-8").partition("#")[0], url)
        words = barred(where, hosts) if location else ("redirected to nowhere",)
    except ValueError:  # not UTF-8
        words = ("redirected to what is no address",)
    except Fail as error:
        words = (error.reason,) + error.values
    return (None, words) if words else (where, None)


def resolved(reference, base):
    """The absolute address of a reference, which has no fragment."""
    mark = reference.find("://")
    if mark > 0 and _scheme(reference[:mark]):
        return _normal(reference[:mark].lower() + reference[mark:])
    begin = base.find("://")
    if reference[:2] == "//":
        return _normal(base[: begin + 1] + reference)
    colon = reference.partition("/")[0].partition("?")[0]
    if ":" in colon:  # "mailto:x", or "https:x" without a host
        return reference
    start = base.find("/", begin + 3)
    root, path = (base, "/") if start < 0 else (base[:start], base[start:])
    path = path.partition("?")[0]
    if reference[:1] == "?" or not reference:
        return root + path + reference
    if reference[:1] != "/":
        reference = path[: path.rfind("/") + 1] + reference
    return root + _straight(reference)


def _scheme(text):
    return all(65 <= c & 0xDF <= 90 or 48 <= c <= 57 or c in b"+-." for c in text.encode())


def _normal(url):
    """The same with a path that has no dots; "/" where there is none before a query."""
    ends = [at for at in (url.find(c, url.find("://") + 3) for c in "/?") if at >= 0]
    start = min(ends) if ends else len(url)
    path = url[start:]
    return url[:start] + _straight(("" if path[:1] == "/" else "/") + path if path else "")


def _straight(path):
    """A path and its query, without the segments "." and ".."."""
    path, mark, query = path.partition("?")
    kept = []
    names = path.split("/")[1:]
    for at, name in enumerate(names):
        if name == "..":
            kept = kept[:-1]
        if name not in (".", ".."):
            kept.append(name)
        elif at == len(names) - 1:
            kept.append("")
    return ("/" if path else "") + "/".join(kept) + mark + query
