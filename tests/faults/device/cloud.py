"""A thing's cloud in one object: its broker, AWS IoT Jobs, streams, and a file server.

Whatever it is asked is noted in `requests`: (kind, topic). `plan` holds what goes wrong: {number
of a request: name of a fault}. Answers go out at once, or as the fault has it.

    silence    the request is not looked at          reject     it is refused, as by a busy service
    refuse     it is refused for good                lose       it is obeyed, its answers are lost
    late       its answers come after 20 s           twice      they come twice
    junk       the answer is not JSON                strange    its members are of other kinds
    hang_up    the session ends instead              hung_up    it ends after it was obeyed

Of blocks, by index in `blocks`: drop, twice, corrupt, truncate, reorder, hang_up; each once.
Of the file server's answers, by number of the GET: see HTTP.
"""

import json
from binascii import b2a_base64

from sluice.net.packets import matches, packet, text

THING = "pump"
JOBS = "$aws/things/pump/jobs/"
STREAM = "$aws/things/pump/streams/s/"
STREAMED = ("app.bin", "map.bin", "delta.bin", "compressed.bin")  # files of the stream, by number
FINAL = ("SUCCEEDED", "FAILED", "REJECTED")
LATE_MS = 20_000
TOPIC_FAULTS = (
    "silence", "reject", "refuse", "lose", "late", "twice", "junk", "strange", "hang_up",
    "hung_up",
)  # fmt: skip
BLOCK_FAULTS = ("drop", "twice", "corrupt", "truncate", "reorder", "hang_up")
HTTP_FAULTS = (
    "503", "403", "404", "307", "silence", "close", "cut_head", "cut_body", "ignore_range",
    "shift_range", "chunk_body", "close_after", "other_size", "portal", "corrupt", "junk",
)  # fmt: skip
STRANGE = {"execution": 7, "executionState": [], "timestamp": {}, "code": None}


class Execution:
    """A job's only execution."""

    def __init__(self, id, document, queued):
        self.id, self.document, self.queued = id, document, queued
        self.status, self.version, self.details = "QUEUED", 1, None
        self.told = []  # final statuses that were accepted

    def about(self, document=True):
        found = {
            "jobId": self.id, "status": self.status, "versionNumber": self.version,
            "executionNumber": 1, "queuedAt": self.queued,
        }  # fmt: skip
        if self.details:
            found["statusDetails"] = self.details
        if document:
            found["jobDocument"] = self.document
        return found


class Cloud:
    """See above. `files` is {name: bytes} for streams and for the file server."""

    def __init__(self, clock, files, block):
        self.clock, self.files, self.block = clock, files, block
        self.executions = []
        self.requests, self.plan, self.blocks = [], {}, {}
        self.gets, self.pages = [], {}  # of the file server, and what goes wrong with which
        self.socket = None
        self.filters = ()
        self.sessions = 0

    def give(self, id, document):
        """A job for the thing."""
        self.executions.append(Execution(id, document, 1_700_000_000 + len(self.executions)))

    def next(self):
        open_ones = [e for e in self.executions if e.status not in FINAL]
        return open_ones[0] if open_ones else None

    # -- the broker ------------------------------------------------------------------------------

    def connected(self, socket):
        """A new session; the one before is over, as a client id has one."""
        self.hang_up()
        self.socket, self.filters = socket, []
        self.sessions += 1

    def hang_up(self):
        """The broker ends the session."""
        if self.socket:
            self.socket.ended = True
        self.socket = None

    def take(self, socket, kind, body):
        """A packet of the device's."""
        if socket is not self.socket:
            return
        say = socket.bring
        if kind == 0x10:
            say(packet(0x20, b"\x00\x00"))
        elif kind == 0x82:
            self._subscribe(body, say)
        elif kind == 0xA2:
            size = body[2] << 8 | body[3]
            name = body[4 : 4 + size].decode()
            self.filters = [one for one in self.filters if one != name]
            say(packet(0xB0, body[:2]))
        elif kind == 0xC0:
            say(packet(0xD0))
        elif kind & 0xF0 == 0x30:
            self._publish(kind, body)

    def _subscribe(self, body, say):
        names, at = [], 2
        while at < len(body):
            size = body[at] << 8 | body[at + 1]
            names.append(body[at + 2 : at + 2 + size].decode())
            at += 3 + size
        fault = self._due("subscribe", names[0])
        if fault in ("silence", "lose", "junk", "strange"):
            return
        if fault in ("hang_up", "hung_up"):
            self.hang_up()
            return
        code = b"\x80" if fault in ("reject", "refuse") else b"\x01"
        if code != b"\x80":
            self.filters += names
        say(packet(0x90, body[:2], code * len(names)), LATE_MS if fault == "late" else 0)

    def _publish(self, kind, body):
        size = body[0] << 8 | body[1]
        topic, at = body[2 : 2 + size].decode(), 2 + size
        fault = self._due("publish", topic)
        if fault == "hang_up":
            self.hang_up()
            return
        if kind & 6:
            if fault != "silence":
                self.socket.bring(packet(0x40, body[at : at + 2]))
            at += 2
        if fault == "silence":
            return
        answers = self._answers(topic, body[at:], fault)
        if fault == "hung_up":
            self.hang_up()
        for topic, payload in answers if fault != "lose" else ():
            for _ in range(2 if fault == "twice" else 1):
                self.send(topic, payload, LATE_MS if fault == "late" else 0)

    def send(self, topic, payload, after_ms=0):
        """A message to the device, if it listens."""
        if self.socket and any(matches(one, topic.encode()) for one in self.filters):
            self.socket.bring(packet(0x30, text(topic), payload), after_ms)

    def _due(self, kind, name):
        self.requests.append((kind, name))
        return self.plan.get(len(self.requests) - 1)

    # -- the services ----------------------------------------------------------------------------

    def _answers(self, topic, payload, fault):
        if topic.startswith(STREAM):
            return self._streamed(topic[len(STREAM) :], payload, fault)
        if not topic.startswith(JOBS):
            return ()
        request = json.loads(payload)
        if fault in ("reject", "refuse"):
            code = "RequestThrottled" if fault == "reject" else "InvalidRequest"
            return self._answer(topic, False, {"code": code, "message": "no"}, request, None)
        accepted, answer = self._asked(topic[len(JOBS) :], request)
        return self._answer(topic, accepted, answer, request, fault)

    def _answer(self, topic, accepted, answer, request, fault):
        if fault == "strange":
            answer = dict(answer, **STRANGE)
        if "clientToken" in request:
            answer["clientToken"] = request["clientToken"]
        answer["timestamp"] = 1_700_000_100
        payload = json.dumps(answer).encode()
        if fault == "junk":
            payload = payload[: len(payload) // 2]
        found = [(topic + ("/accepted" if accepted else "/rejected"), payload)]
        if self.changed:
            self.changed = False
            execution = self.next()
            notice = {"timestamp": 1_700_000_100}
            if execution:
                notice["execution"] = execution.about()
            found.append((JOBS + "notify-next", json.dumps(notice).encode()))
        return found

    changed = False  # another execution is next

    def _asked(self, name, request):
        execution = self.next()
        if name == "$next/get":
            wanted = request.get("includeJobDocument", True)
            return True, {"execution": execution.about(wanted)} if execution else {}
        if name == "start-next":
            if execution and execution.status == "QUEUED":
                execution.status, execution.version = "IN_PROGRESS", execution.version + 1
                execution.details = request.get("statusDetails")
            return True, {"execution": execution.about()} if execution else {}
        id, _, what = name.rpartition("/")
        [execution] = [one for one in self.executions if one.id == id]
        if what == "get":
            return True, {"execution": execution.about(False)}
        return self._updated(execution, request)

    def _updated(self, execution, request):
        state = {"status": execution.status, "versionNumber": execution.version}
        refusal = {"message": "no", "executionState": state}
        if execution.status in FINAL:
            return False, dict(refusal, code="TerminalStateReached")
        if request.get("expectedVersion", execution.version) != execution.version:
            return False, dict(refusal, code="VersionMismatch")
        if request["status"] == "REJECTED" and execution.status != "QUEUED":
            return False, dict(refusal, code="InvalidStateTransition")
        execution.status = request["status"]
        execution.details = request.get("statusDetails", execution.details)
        execution.version += 1
        if execution.status in FINAL:
            execution.told.append(execution.status)
            self.changed = True
        state = {"status": execution.status, "versionNumber": execution.version}
        return True, {"executionState": state} if request.get("includeJobExecutionState") else {}

    # -- streams ---------------------------------------------------------------------------------

    def _streamed(self, name, payload, fault):
        what, _, form = name.partition("/")
        request = json.loads(payload) if form == "json" else _cbor().loads(payload)
        if fault in ("reject", "refuse"):
            code = "RequestThrottled" if fault == "reject" else "Unauthorized"
            body = {"o": code, "m": "no", "c": request["c"]}
            return [(STREAM + "rejected/" + form, written(body, form))]
        if what == "describe":
            rows = [{"f": n, "z": len(self.files[name])} for n, name in enumerate(STREAMED)]
            body = {"c": request["c"], "s": 1, "d": "d", "r": rows}
            if fault == "strange":
                body.update(r=7, s=[])
            body = written(body, form)
            return [(STREAM + "description/" + form, body[:9] if fault == "junk" else body)]
        return self._blocks(request, form, fault)

    def _blocks(self, request, form, fault):
        data = self.files[STREAMED[request["f"]]]
        size, found, backwards, gone = request["l"], [], False, False
        for index in range(request["o"], request["o"] + request["n"]):
            part = bytes(data[index * size : (index + 1) * size])
            if not part:
                break
            due = self.blocks.pop((request["f"], index), None)
            body = block(request["c"], request["f"], index, part, form)
            if fault in ("junk", "strange"):
                body = body[: len(body) // 2]
            middle = len(body) // 2
            if due == "corrupt":
                other = b"B" if body[middle : middle + 1] == b"A" else b"A"
                body = body[:middle] + other + body[middle + 1 :]
            elif due == "truncate":
                body = body[:middle] + body[middle + 4 :]
            backwards = backwards or due == "reorder"
            gone = gone or due == "hang_up"
            if not gone:
                found += [body] * {"drop": 0, "twice": 2}.get(due, 1)
        if gone:
            self.hang_up()
        return [(STREAM + "data/" + form, body) for body in (found[::-1] if backwards else found)]


def _cbor():
    from sluice.transfer.cbor_block import BlockParser

    return BlockParser


def written(body, form):
    """A small message of a stream."""
    return json.dumps(body).encode() if form == "json" else cbor(body)


def block(token, file, index, part, form):
    """A block of a stream."""
    if form == "cbor":
        return cbor({"c": token, "f": file, "l": len(part), "i": index, "p": part})
    words = token, file, len(part), index, b2a_base64(part)[:-1].decode()
    return ('{"c":"%s","f":%d,"l":%d,"i":%d,"p":"%s"}' % words).encode()


def cbor(value):
    """The value in CBOR."""
    if isinstance(value, dict):
        return _head(5, len(value)) + b"".join([cbor(k) + cbor(v) for k, v in value.items()])
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join([cbor(item) for item in value])
    if isinstance(value, int):
        return _head(0, value)
    data = value.encode() if isinstance(value, str) else value
    return _head(3 if isinstance(value, str) else 2, len(data)) + data


def _head(major, number):
    if number < 24:
        return bytes((major << 5 | number,))
    return bytes((major << 5 | 26,)) + number.to_bytes(4, "big")


class HTTP:
    """The file server's side of one connection."""

    def __init__(self, cloud):
        self.cloud = cloud

    def take(self, socket, head):
        """A request of the device's, its whole head."""
        line, *fields = head.decode().split("\r\n")
        path, span = line.split(" ")[1], None
        for field in fields:
            if field.startswith("Range: bytes="):
                first, _, last = field[13:].partition("-")
                span = int(first), int(last)
        cloud = self.cloud
        cloud.gets.append(path)
        fault = cloud.pages.get(len(cloud.gets) - 1)
        data = cloud.files[path.partition("?")[0].strip("/")]
        if fault != "silence":
            self._answer(socket, data, span, fault, path)

    def _answer(self, socket, data, span, fault, path):
        if fault == "close":
            socket.ended = True
        elif fault in ("503", "403", "404"):
            socket.bring(b"HTTP/1.1 %s No\r\nContent-Length: 2\r\n\r\nno" % fault.encode())
        elif fault == "307":
            where = "http://files" + path
            socket.bring(
                b"HTTP/1.1 307 There\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % where.encode()
            )
        elif fault == "junk":
            socket.bring(b"\x00\xff not HTTP\r\n\r\n" * 40)
        elif fault == "portal":
            socket.bring(b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n<html>log in</htm")
        else:
            self._given(socket, data, span, fault)

    def _given(self, socket, data, span, fault):
        if fault == "ignore_range":
            span = None
        first, last = span or (0, len(data) - 1)
        last = min(last, len(data) - 1)
        body = bytes(data[first : last + 1])
        lines = ["HTTP/1.1 206 Part" if span else "HTTP/1.1 200 OK"]
        size = len(data) + (1 if fault == "other_size" else 0)
        if span:
            by = 1 if fault == "shift_range" else 0
            lines.append("Content-Range: bytes %d-%d/%d" % (first + by, last + by, size))
        if fault == "chunk_body":
            lines.append("Transfer-Encoding: chunked")
            parts = [body[at : at + 1_000] for at in range(0, len(body), 1_000)]
            parts = [b"%x\r\n%s\r\n" % (len(part), part) for part in parts]
            body = b"".join(parts) + b"0\r\n\r\n"
        else:
            lines.append("Content-Length: %d" % (len(body) + (fault == "other_size")))
        if fault == "close_after":
            lines.append("Connection: close")
        if fault == "corrupt":
            middle = len(body) // 2
            body = body[:middle] + bytes((body[middle] ^ 1,)) + body[middle + 1 :]
        message = "\r\n".join(lines + ["", ""]).encode()
        if fault == "cut_head":
            message, body = message[:20], b""
        elif fault == "cut_body":
            body = body[: len(body) // 2]
        socket.bring(message + body)
        if fault in ("cut_head", "cut_body", "close_after", "other_size"):
            socket.ended = True
