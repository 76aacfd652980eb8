"""Every parser that faces the wire or a file, as a function of bytes: its verdict in words.

Each function here makes one: it returns (judge, errors that a judge may raise), and for what comes
in pieces a third: a function of (bytes, verdict) that judges again, in other pieces. The verdict
on what was refused is the name of its error. What a judge asserts holds for whatever is taken. Its
words are compared with those of a reader on the host.
"""

import json
import os
from binascii import crc32, hexlify
from hashlib import sha256

from sluice.errors import Fail, Gone, OTAError, Refuse, Retry
from sluice.job import Job

NONE = ()
PIECES = (1, 7, 64)  # bytes that a message comes in


def _alike(judge):
    """Judges again in pieces of another size, which depends on the input."""

    def again(data, said):
        piece = PIECES[crc32(data) % len(PIECES)]
        other = judge(data, piece)
        assert other == said, "in pieces of %d: %s" % (piece, other)

    return again


def block_json():
    return _blocks("sluice.transfer.json_block", b'AA""', b'"AAAA')


def block_cbor():
    return _blocks("sluice.transfer.cbor_block", b"\xff" * 4, b"\xff\x00")


class _Receiver:
    def wanted(self, parser):
        self.data = b""
        return True

    def take(self, data):
        self.data += data


def _blocks(module, before, after):
    """A judge of messages, in pieces of any size, each in a buffer that was used before."""
    parser_of = getattr(__import__(module, None, None, ("BlockParser",)), "BlockParser")
    receiver = _Receiver()
    parser = parser_of(receiver)

    def judge(data, piece=512):
        parser.reset()
        receiver.data = b""
        for at in range(0, len(data), piece):
            part = data[at : at + piece]
            buf = bytearray(before + part + after)
            parser.feed(buf, len(before), len(before) + len(part))
        if not parser.whole:
            return "no"
        told = parser.file, parser.index, parser.length, hexlify(receiver.data).decode()
        return "%s %s %s %s %s" % ((hexlify(parser.token or b"").decode() or "-",) + told)

    return judge, NONE, _alike(judge)


def cbor():
    from sluice.transfer.cbor import loads

    return (lambda data: repr(_plain(loads(data))).replace(" ", "")), (ValueError,)


def _plain(value):
    """The value with its dicts as sorted lists, as two Pythons order them differently."""
    if isinstance(value, dict):
        return ["{"] + sorted([repr(_plain(key)) + repr(_plain(value[key])) for key in value])
    return [_plain(item) for item in value] if isinstance(value, list) else value


def packets():
    from sluice.net.packets import Whole
    from sluice.net.reader import Reader

    def judge(data, piece=512):
        words = []

        def on_message(topic, payload):
            assert payload is None or len(payload) <= 4_000
            words.append("%08x:%s" % (crc32(topic), "-" if payload is None else _crc(payload)))

        def on_packet(kind, head, number):
            words.append("%d/%d" % (kind, number if kind != 0xD0 else 0))

        sink = Whole(on_message, 4_000)
        reader = Reader(on_packet, lambda topic: None if topic == b"nobody" else sink)
        try:
            for at in range(0, len(data), piece):
                part = data[at : at + piece]
                reader.buffer[: len(part)] = part
                reader.take(len(part))
        except Retry:
            words.append("refused")
        return " ".join(words)

    return judge, NONE, _alike(judge)


def _crc(data):
    return "%08x" % crc32(data)


class _Server:
    """A socket that gives an answer in pieces, then ends; also link and clock."""

    def __init__(self, answer, piece):
        self._answer, self._piece, self._at = answer, piece, 0

    def write(self, data):
        return len(data)

    def readinto(self, buf):
        size = min(self._piece, len(buf), len(self._answer) - self._at)
        buf[:size] = self._answer[self._at : self._at + size]
        self._at += size
        return size

    def close(self):
        pass

    def turn(self):
        pass

    def ticks_ms(self):
        return 0

    def ticks_diff(self, later, earlier):
        return later - earlier

    async def sleep_ms(self, ms):
        pass


def _run(coroutine):
    """The result of a coroutine whose awaits all return at once."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("waited")


def http():
    import sluice.net.http

    words = (["http://files"], ("ca",)) if _there("sluice.address") else (None, "")

    def judge(data, piece=512):
        server = _Server(data, piece)

        async def dial(*_):
            return server, server

        real = sluice.net.http.plug_in
        sluice.net.http.plug_in = lambda path, name: (
            dial if name == "dial" else _plug_in(path, name)
        )
        try:
            client = sluice.net.http.HTTP(server, server, *words)
            status = _run(client.get("http://files/a"))
            assert status >= 200
            body, crc = 0, 0
            while True:
                part = _run(client.read())
                if not part:
                    break
                body, crc = body + len(part), crc32(part, crc)
                assert body <= len(data)
            return "%d %d %08x" % (status, body, crc)
        except OTAError as error:
            return "refused " + error.reason
        finally:
            sluice.net.http.plug_in = real

    return judge, NONE, _alike(judge)


def _there(module):
    try:
        __import__(module)
    except ImportError:
        return False
    return True


def _plug_in(path, name):
    return getattr(__import__(path, None, None, (name,)), name)


def sntp():
    from sluice.net.ntp import read_answer

    return (lambda data: str(read_answer(bytes(data), b"NONCE678"))), NONE


def signer():
    from sluice.trust.x509 import public_key

    return (lambda data: "%s %x %x" % public_key(data)), (Fail,)


def signature():
    from sluice.trust.verify import unpack

    return (lambda data: hexlify(unpack(bytes(data))).decode()), (Fail,)


def ecdsa():
    from sluice.trust.p256 import _parse

    return (lambda data: "%x %x" % _parse(bytes(data))), NONE


def rsa():
    from sluice.trust.rsa import verify

    n = int.from_bytes(b"\xc5" + bytes(range(255)), "big") | 1

    def judge(data):
        assert not verify(n, 3, bytes(data[:32]), bytes(data[32:])), "a signature by nobody"
        return "no"

    return judge, NONE


def _document(value):
    """What a job asks, by its document; what is taken is within its bounds."""
    job = Job("job-1", 1, document=value)
    job.read()
    assert job.kind in ("image", "operation") and isinstance(job.rollback, bool)
    for file in job.files:
        assert file.size is None or 0 < file.size <= 24 << 20
        assert file.source in ("mqtt_stream", "http_range")
        if file.source == "http_range":
            assert file.url.split("://")[0] in ("http", "https") and len(file.url) <= 2048
            assert all(32 < c < 127 for c in file.url.encode())
        else:
            assert 0 < len(file.stream) <= 128 and 0 <= file.id <= 255
        if file.path is not None:
            assert file.path[0] == "/" and len(file.path) <= 128
            assert ".." not in file.path.split("/") and file.path.count("//") == 0
        assert file.signature is None or isinstance(file.signature, str)
        assert file.sha256 is None or len(file.sha256) == 64
        assert file.md5 is None or len(file.md5) == 32
    return job.kind


def afr_ota():
    return (lambda data: _document(json.loads(data))), (Refuse, Fail, ValueError)


operation = location = steps = devices = afr_ota


class _Sources:
    """What a source of files works with."""

    clock, name, times = None, "", 0

    def __init__(self, link, settings):
        self.link, self.settings = link, settings


def _silent():
    class Link:
        clock = _Server(b"", 1)

        def publish(self, topic, message, retain=False, qos=0):
            assert len(message) < 20_000

        async def deliver(self, topic, message, retain=False):
            self.publish(topic, message)

        async def subscribe(self, topic, handler, qos=0, limit=8192):
            pass

        def unsubscribe(self, topic):
            pass

        async def wait(self, ready, ms):
            return ready()

    return Link()


def jobs():
    from sluice.clouds import aws_jobs

    def judge(data):
        dialect = aws_jobs.AWSJobs(_silent(), "thing")
        dialect.token = "sluice-1"
        dialect._job = Job("job-1", 1)
        dialect._on_answer(b"$aws/things/thing/jobs/job-1/update/accepted", bytearray(data))
        answer = dialect._answer
        dialect._on_answer(b"$aws/things/thing/jobs/job-1/update/rejected", bytearray(data))
        dialect._on_notify_next(b"$aws/things/thing/jobs/notify-next", bytearray(data))
        aws_jobs.member(answer[1] if answer else {}, "executionState")
        job = aws_jobs._job(dialect._heard)
        if not job:
            return "none"
        dialect.pending(job)
        assert 0 < len(job.id) <= 64 and isinstance(job.version, int)
        return _document(job.document)

    return judge, (Refuse, Fail)


def updates():
    from sluice.clouds import aws_updates
    from sluice.clouds.aws_jobs import _object

    class Jobs:
        timer = 0

        def forget(self, job):
            pass

        async def request(self, name, message):
            return self.answer

    def judge(data):
        asked, job = Jobs(), Job("job-1", 1)
        answer = _object(bytearray(data))
        info = {"received": 1, "total": 2, "free": 3, "running": "1.0.0", "reason": "r"}
        for accepted in (True, False):
            for step in ("accepted", "failed", "rejected"):
                asked.answer = (accepted, answer)
                try:
                    _run(aws_updates.report(asked, job, step, info))
                except (Gone, Retry):
                    pass
        return "told"

    return judge, NONE


def stream():
    from sluice.job import File
    from sluice.transfer import description
    from sluice.transfer.stream import MQTTStream

    file = File(4096, "mqtt_stream")
    file.stream = "s"

    def made(form):
        settings = {"thing": "t", "window": 262_144, "stream_format": form}
        made = MQTTStream(_Sources(_silent(), settings), file, 4096)
        made._token = "sluice-1"
        made._blocks = _Receiver()
        return made

    streams = [made("json"), made("cbor")]

    def judge(data):
        words = []
        for made in streams:
            made._blocks.error = None
            made._on_rejected(b"", bytearray(data))
            if made._blocks.error:
                assert len(str(made._blocks.error)) < 400
                words.append("rejected")
            told = made.answer(bytearray(data)) or {}
            try:
                words.append(str(description._compared(told, file) if told else {}))
            except Fail as error:
                assert len(str(error)) < 2_000
                words.append("fail")
        return " ".join(words)

    return judge, NONE


class _Cell:
    def __init__(self, data=b""):
        self.data = data

    def load(self):
        return self.data

    def save(self, data):
        self.data = data


def shadow():
    from sluice import config
    from sluice.clouds.aws_shadow import _wanted

    settings = config.others({}, {}, None)
    config._kept, config.os = lambda path: {}, _NoFiles()

    def judge(data):
        try:
            wanted = _wanted(bytearray(data))
        except ValueError:
            return "not read"
        refused, now = config.adopt(settings, wanted, "/nowhere/settings.json")
        assert len(refused) <= 8 and all(len(text) <= 100 for text in refused)
        for key in config.CHANGEABLE:
            config._judge(now, key)
        return "%d" % len(refused)

    return judge, NONE


class _NoFiles:
    def rename(self, old, new):
        raise OSError(30)

    def stat(self, path):
        raise OSError(2)


def order():
    from sluice.clouds import product_orders, product_words
    from sluice.clouds.product import Product

    class Clock:
        def now_s(self):
            return 1_700_000_000

    assert product_words and product_orders
    settings = {"product_id": "", "devices": {"SN2": "echo"}, "order_s": 3600}

    def judge(data):
        product = Product(_silent(), "SN1", Clock(), "1.0.0", settings)
        product.files = _Cell(), _Cell()
        product._on_services(b"", bytearray(data))
        product._on_answer(b"", bytearray(data))
        words = []
        try:
            for _ in range(9):
                job = _run(product_orders.next_job(product))
                if not job:
                    break
                job = _run(product.accept(job))
                if not job:
                    continue
                try:
                    words.append(_document(job.document))
                    end, why = "succeeded", ""
                except (Refuse, Fail) as error:
                    words.append("refused")
                    end, why = "rejected", str(error)
                _run(product_words.report(product, job, end, {"reason": why}))
        except Retry:
            words.append("not told")
        if product.order:
            assert 0 < len(product.order["bid"]) <= 64
            again = Product(_silent(), "SN1", Clock(), "1.0.0", settings)
            again.files = product.files
            _run(again.start())
            assert again.order == product.order
        return " ".join(words)

    return judge, NONE


def kept_order():
    """What a file of an order holds after whatever was done to it."""
    from sluice.clouds import product_orders
    from sluice.clouds.product import Product

    class Clock:
        def now_s(self):
            return 1_700_000_000

    settings = {"product_id": "", "devices": {"SN2": "echo"}, "order_s": 3600}
    devices = json.dumps({"bid": "b", "devices": [{"sn": "SN1", "firmware_upgrade_type": 3}]})

    def judge(data):
        product = Product(_silent(), "SN1", Clock(), "1.0.0", settings)
        product.files = _Cell(bytes(data)), _Cell(devices.encode())
        _run(product.start())
        job = None
        if product.order and not product.order["told"]:
            job = _run(product_orders.next_job(product))
        return "job" if job else "none"

    return judge, (Retry,)


def settings():
    from sluice import config

    def judge(data):
        with open("settings.json", "wb") as file:
            file.write(data)
        kept = config._kept("settings.json")
        values = config.others({}, {}, None)
        for text in config._change(values, kept, {}):
            assert len(text) <= 100
        for key in config.OPTIONAL:
            if key not in config.LINKING:
                config._judge(values, key)
        return "read"

    return judge, NONE


def configuration():
    from sluice import config

    def judge(data):
        with open("config.json", "wb") as file:
            file.write(data)
        found, told = config.read("config.json"), []
        values = config.others(found, {}, told.append, False)
        values.update(config.others(found, values, told.append))
        values.update(config.linking(found))
        if told:
            raise told[0]
        names = [values["thing"], values["endpoint"]] + values["files"]
        assert all(isinstance(name, str) and 0 < len(name) <= 255 for name in names)
        for key in config.OPTIONAL:
            config._judge(values, key)
        return "taken"

    return judge, (config.ConfigError,)


def journal():
    from sluice.agent.states.boot import first
    from sluice.clouds.aws_shadow import _describe
    from sluice.journal import PHASES, Journal
    from sluice.slots.tree import Trees

    class Slots:
        running = "ota_0"
        trial = None

    class Application:
        state = "running"

    class Agent:
        slots = Slots()
        trees = Trees({}, False, "SIM_ESP32")
        application = Application()

    def judge(data):
        cells = _Cell(bytes(data)), _Cell()
        noted = Journal(cells)
        phase = noted.phase
        assert phase in PHASES
        assert isinstance(noted.written, bytes)
        job = Job("job-1", 1)
        noted.about(job)
        Agent.journal, state = noted, {}
        _describe(Agent, state)
        json.dumps(state)
        first(noted, Slots)
        for key in ("job", "image", "slot", "version", "reason", "step", "home", "next"):
            assert noted[key] is None or isinstance(noted[key], str), key
        assert noted["number"] is None or isinstance(noted["number"], int)
        assert noted["runs"] is None or noted["runs"] >= 0
        noted.owe("failed", "why")
        noted.mark_reported()
        noted.begin(job, "image", "ota_1", "1.0.0")
        assert Journal(cells).about(job), "the next record is not in force"
        return phase

    return judge, NONE


def staged():
    import os

    from medium import Board, write

    from sluice.files import staged, staging

    board, judged = Board(48), 0
    board.__enter__()

    class Slots:
        running = "ota_0"
        trial = False

    def judge(data):
        nonlocal board, judged
        judged += 1
        if not judged % 1_000:  # LittleFS itself has ended MicroPython after 4,229 of these
            board.__exit__()
            board = Board(48)
            board.__enter__()
        for folder in (staged.FOLDER, "/"):
            for entry in list(os.ilistdir(folder)) if _stat(folder) else ():
                if entry[1] == 0x8000:
                    os.remove(folder.rstrip("/") + "/" + entry[0])
        write(staged.FOLDER + "/0", b"new")
        write(staged.FOLDER + "/journal.1", data)
        noted = staged.record()
        assert isinstance(noted.phase, str)
        on_trial = staging.at_start(Slots)
        staging.rebooted() if on_trial else staging.confirm()
        staging.placed(Job("job-1", 1))
        staging.drop()
        staging.begin(Job("job-1", 1), "image")
        assert staged.record().about(Job("job-1", 1)), "the next record is not in force"
        return noted.phase

    def _stat(path):
        try:
            return os.stat(path)
        except OSError:
            return None

    return judge, NONE


def floor():
    from sluice.net.ntp import load

    def judge(data):
        with open("floor", "wb") as file:
            file.write(data)
        floor_s = load("floor", 1_000, 2_000)
        assert isinstance(floor_s, int) and 1_000 <= floor_s < 2_000
        return str(floor_s)

    return judge, NONE


def appimage():
    from sluice.slots.esp32_image import check, version_in

    def judge(data):
        head = memoryview(bytes(data[:80]) + bytes(80 - min(80, len(data))))
        version_in(head)
        return check(head, len(data), 1 << 20, 9)

    return judge, (Fail,)


def stagedimage():
    from sluice.slots.w800_image import check, name, version_in

    def judge(data):
        head = bytes(data[:80]) + bytes(80 - min(80, len(data)))
        version_in(head)
        name(head)
        return check(head, len(data), 1 << 20, (0x10000, 0x100000))

    return judge, (Fail,)


def otadata():
    from sluice.slots.esp32_image import _active

    class Table:
        def readblocks(self, sector, buf, offset):
            at = sector * 32 + offset
            part = self.data[at : at + len(buf)]
            buf[: len(part)] = part

    def judge(data):
        table = Table()
        table.data = data
        return "%d %d" % _active(table)

    return judge, NONE


def seal():
    from sluice.trust.seal import find

    buffer = bytearray(4096)

    class Slot:
        def readblocks(self, sector, buf):
            part = self.data[sector * 4096 : sector * 4096 + len(buf)]
            buf[: len(part)] = part

    def judge(data):
        slot = Slot()
        slot.data = data
        found = find(slot, len(data), buffer)
        return "%d %s %s" % (found[0], hexlify(found[1]).decode(), found[2]) if found else "none"

    return judge, NONE


def bundle():
    """Its first two blocks, of which nobody knows yet who wrote them."""
    from sluice.files.bundle_head import judge as judged
    from sluice.job import File
    from sluice.slots.tree import Trees

    class Agent:
        trees = Trees({"app": ["a", "0" * 64, "1.2.3", 6]}, False, "SIM_ESP32")
        settings = {"allow_same_version": False, "allow_downgrade": False}

    file = File(1, "http_range")
    file.kind = "app"

    def judge(data):
        found = bytearray(1_024)
        found[:11] = b"sluice.json"
        found[512:] = (bytes(data) + bytes(512))[:512]
        said = judged(found, file, Agent)
        assert said["kind"] == "app" and 0 < len(said["version"]) < 32
        assert all(32 < ord(sign) < 127 for sign in said["version"])
        return said["version"]

    return judge, (Fail,)


def smaller():
    """A container, of which nobody knows yet who made it."""
    from rebuilding import Judge

    judge = Judge()
    return judge.first, (Fail,), judge.again


def version():
    from sluice.trust.policy import rank, version

    settings = {"allow_same_version": False, "allow_downgrade": False}

    def judge(data):
        text = bytes(data[:64]).decode()  # an image has room for 32, and a document says no more
        version(text, "1.2.3", settings)
        return str(rank(text))

    return judge, (Fail, Refuse, UnicodeError)


def address():
    from sluice.address import split

    def judge(data):
        text = bytes(data).decode()
        (scheme, name, port, host), at = split(text)
        assert 0 <= port <= 65_535 and scheme in ("http", "https") and name
        assert all(32 < c < 127 for c in text.encode()) and len(text) <= 2048
        return "%s %s %d" % (scheme, name.lower(), port)

    return judge, (Fail, UnicodeError)


def redirect():
    from sluice.net.redirect import target

    hosts = ["files.example.com", "*.example.org:*"]
    base = "https://files.example.com/a/b?c"

    def judge(data):
        url = target(bytes(data[:2_200]), base, hosts)[0]  # of a longer line no more is kept
        if url is None:
            return "not followed"
        assert url[:8] in ("https://", "http://f") or url[:7] == "http://", url
        assert all(32 < c < 127 for c in url.encode()) and len(url) <= 4_096
        return "followed"

    return judge, (Fail,)


def pending():
    """What the console is told of the jobs that wait."""
    from sluice.clouds.aws_pending import pending_jobs

    class Link:
        def __init__(self, data):
            self.data = data

        async def subscribe(self, topic, handler):
            self.handler = handler

        def publish(self, topic, payload, qos):
            self.handler(topic.encode() + b"/accepted", bytearray(self.data))

        async def wait(self, ready, deadline_ms):
            return ready()

        def unsubscribe(self, topic):
            pass

    def judge(data):
        return str(len(_run(pending_jobs(Link(data), "t"))))

    return judge, (Retry,)


class _Sizes:
    """The `os` of who looks how large a file is; the name stands for another file."""

    def __init__(self, name):
        self.name = name

    def stat(self, path):
        return os.stat(self.name)


def proof():
    from sluice.trust import proofs

    proofs.os = _Sizes("proof")
    proofs.open = lambda path, mode: open("proof", mode)

    def judge(data):
        with open("proof", "wb") as file:
            file.write(data)
        found = proofs._kept("ota_0")
        if not found:
            return "none"
        assert isinstance(found["algorithm"], str) and type(found["signed"]) is int
        return repr(found["signature"][:9])

    return judge, (Fail,)


def linked():
    """The file of the way that linked last, whose digest is right."""
    from sluice import lastlink, log

    lastlink.PATH = "linked"
    log.to(lambda line: None)

    def judge(data):
        with open("linked", "wb") as file:
            file.write(hexlify(sha256(data).digest()) + b"\n" + data)
        way, known = lastlink.load()
        if not way:
            return "none"
        assert way["thing"] and way["endpoint"] and len(way["files"]) == 3 and len(known) == 32
        return repr(way["thing"])

    return judge, NONE


def rest():
    """What was noted of a configuration besides the linking part."""
    from sluice import config, lastgood, lastlink

    whole = config.others({}, {}, None)

    def judge(data):
        body = bytes(data)
        lastlink.noted = lambda path: hexlify(sha256(body).digest()) + body
        found = lastgood._others({}, None, False, lambda *words: None)
        assert set(found) == set(whole)
        for key in config.OPTIONAL:
            if key not in config.LINKING:
                config._judge(found, key)
        return repr(found["signers"])

    return judge, NONE
