"""Addresses of files, and which of them config.json's `download_hosts` lets a job name. No I/O.

An entry of `download_hosts` is `[scheme://]host[:port]`.

    files.example.com          that host by HTTPS, at port 443
    *.example.com:8443         every host below example.com, but not example.com itself
    *:*                        every host by HTTPS, at every port
    http://10.0.0.5:8080       that host by HTTP. HTTP is allowed only where an entry says it

An empty list is as good as `*:*`.

source   RFC 3986, as far as presigned addresses need it: no users, no IPv6 literals, no fragments
"""

from micropython import const

from sluice.errors import Fail, Refuse

_LONGEST = const(2_048)  # characters of an address
_NAME = const(253)  # characters of a host name
_LAST_PORT = const(65_535)
_PORTS = {"http": 80, "https": 443}
_ANY = "*"


def split(url):
    """((scheme, host name, port, Host field), index of its path) of an address. Raises Fail."""
    mark = url.find("://")
    scheme = url[: max(mark, 0)] if mark < 8 else ""
    if scheme not in _PORTS:
        raise _none("scheme")
    raw = url.encode()
    if len(raw) > _LONGEST:
        raise _none("too long")
    if not all(32 < c < 127 and c not in b'#"<>\\' for c in raw):
        raise _none("a character")
    start = mark + 3
    while start < len(raw) and raw[start] not in b"/?":
        start += 1
    if raw[start : start + 1] == b"?":
        raise _none("no path")
    host = url[mark + 3 : start]
    name, port = place(host)
    return (scheme, name, port or _PORTS[scheme], host), start


def place(host):
    """(name, port or None) of "name" or "name:port". Raises Fail."""
    if "@" in host:
        raise _none("user name")
    if "[" in host or host.count(":") > 1:
        raise _none("IPv6 is not supported")
    name, colon, port = host.partition(":")
    if not _named(name):
        raise _none("host")
    if not colon:
        return name, None
    # Judged as bytes: isdigit() and int() know digits of other scripts, too.
    if not 0 < len(port) <= 5 or not all(48 <= c <= 57 for c in port.encode()):
        raise _none("port")
    if not 0 < int(port) <= _LAST_PORT:
        raise _none("port")
    return name, int(port)


def _named(name):
    """True for labels of letters, digits, "-" and "_" with a dot between each two."""
    if not 0 < len(name) <= _NAME or name[0] == "." or name[-1] == "." or ".." in name:
        return False
    return all(65 <= c & 0xDF <= 90 or 48 <= c <= 57 or c in b"-._" for c in name.encode())


def _none(why):
    return Fail("not an address of a file:", why)


def entry(text):
    """(scheme, name, port) of an entry of `download_hosts`; port 0 is any. Raises Fail."""
    scheme, mark, host = text.partition("://")
    if not mark:
        scheme, host = "https", text
    if scheme not in _PORTS:
        raise _none("scheme")
    anyport = host[-2:] == ":*"
    host = host[:-2] if anyport else host
    wild = host[: 2 if host[:2] == "*." else 1] if host[:1] == _ANY else ""
    name, port = place(("any" if wild == _ANY else "") + host[len(wild) :])
    if wild == _ANY and (name != "any" or scheme == "http") or anyport and port:
        raise _none("host")
    name = _ANY if wild == _ANY else (wild and ".") + name.lower()
    return scheme, name, 0 if anyport else port or _PORTS[scheme]


def allowed(origin, hosts):
    """Whether `download_hosts` lets that scheme, host and port be asked for a file.

    origin   as `split` has it
    """
    scheme, name, port, _ = origin
    name = name.lower()
    for text in hosts or ("*:*",):
        wanted, host, number = entry(text)
        known = host in (_ANY, name) or host[0] == "." and name.endswith(host)
        if known and wanted == scheme and number in (0, port):
            return True
    return False


def barred(url, hosts):
    """None for an address that may be asked; else the words of the refusal, without a query.

    raises   Fail when it is no address
    """
    origin = split(url)[0]
    if allowed(origin, hosts):
        return None
    return "not in download_hosts:", "%s://%s" % (origin[0], origin[3])


def judge(files, settings):
    """Settle which files come by HTTP, and raise Refuse where their address is not allowed.

    files      those of a job; one that is offered by a stream, too, comes as `protocol` says
    settings   protocol, download_hosts
    """
    for file in files:
        if file.url and settings["protocol"] == "http":
            file.source = "http_range"
        if file.source != "http_range":
            continue
        try:
            words = barred(file.url, settings["download_hosts"])
        except Fail as error:
            raise Refuse(error.reason, *error.values)
        if words:
            raise Refuse(*words)
