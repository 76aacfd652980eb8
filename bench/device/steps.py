"""What the agent does between two awaits, to be done once or twice; see bench/blocking.py."""

import json


def prepared(kind):
    """The slices of a signature's proof."""
    from sluice.trust.x509 import public_key

    with open(kind + ".pem", "rb") as file:
        _, first, second = public_key(file.read())
    with open(kind + ".sig", "rb") as file:
        digest, signature = file.read(32), file.read()
    module = __import__("sluice.trust." + kind, None, None, ("steps",))
    return module.steps(first, second, digest, signature)


def message():
    """A control message as long as one may be."""
    return json.dumps({"k%d" % n: "v" * 20 for n in range(250)})[:8192]


class Cell:
    """A file of the journal that costs nothing."""

    def load(self):
        return b""

    def save(self, data):
        pass


def noted():
    """A journal with a job in it."""
    from sluice.journal import Journal

    journal = Journal((Cell(), Cell()))
    journal.write(job="j" * 64, image="1468006-" + "0" * 32, slot="ota_1", version="1.0.0")
    return journal


SIZE, BLOCK = 1468006, 256  # bytes of an image, and of its blocks: its map is as large as it gets


def known():
    """The map of an image that is there but for its last sector."""
    written = bytearray(b"\xff" * (-(-SIZE // 4096) + 7 >> 3))
    written[SIZE // 4096 >> 3] &= ~(1 << (SIZE // 4096 & 7))
    return written


def recalled(written):
    """An image that goes on where a reset left it, and the first offset that it misses."""
    from sluice.transfer.image import Image

    image = Image(Slot(), SIZE, BLOCK, None, written)
    if image.missing() != SIZE // 4096 * 4096:
        raise SystemExit(1)
    return image


class Slot:
    """A slot that costs nothing."""

    def writeblocks(self, number, data, offset=None):
        pass

    def readblocks(self, number, data, offset=0):
        pass


class Server:
    """A socket that has the same answer for each request."""

    def __init__(self, size, head):
        said = b"HTTP/1.1 206 Partial Content\r\nContent-Length: %d\r\n" % size
        said += b"Content-Range: bytes 0-%d/%d\r\n" % (size - 1, size)
        while len(said) < head - 80:
            said += b"x-amz-meta-%03d: 0123456789abcdef\r\n" % (len(said) % 1000)
        self.answer = said + b"X: " + bytes(head - len(said) - 7) + b"\r\n\r\n" + bytes(size)
        self.at = 0

    def write(self, data):
        self.at = 0
        return len(data)

    def readinto(self, buf):
        part = memoryview(self.answer)[self.at : self.at + len(buf)]
        buf[: len(part)] = part
        self.at += len(part)
        return len(part)

    def turn(self):
        pass

    def ticks_ms(self):
        return 0

    def ticks_diff(self, later, earlier):
        return later - earlier

    async def sleep_ms(self, ms):
        pass


class Sources:
    """What a source of bytes is given."""

    link, name, times = None, "", 0

    def __init__(self, http):
        self.http = lambda: http


async def nothing():
    """Nobody watches."""
    pass


def serving(size, head):
    """HTTP to a server of a body and a head of that many bytes."""
    import sluice.net.http

    server = Server(size, head)

    async def dial(*words):
        return server, server

    sluice.net.http.plug_in = lambda path, name: dial
    return sluice.net.http.HTTP(server, server, ["http://files"], ("",))


URL = "http://files/app.bin?" + "s" * 1000


def finished(coroutine):
    """Run what never awaits anybody else."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise SystemExit(1)


def asked(http):
    """One request and its head."""
    finished(http.get(URL, "bytes=0-65535"))


def taken(http, size):
    """One range, into an image."""
    from sluice.job import File
    from sluice.transfer.http_range import HTTPRange
    from sluice.transfer.image import Image

    file, image = File(size, "http_range"), Image(Slot(), size)
    file.url = URL
    finished(HTTPRange(Sources(http), file, 4096).fetch(image, nothing))
