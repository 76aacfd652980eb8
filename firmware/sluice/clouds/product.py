"""Orders of a thing/product platform: `ota_create` on services, progress and outcome on events.

An order names devices: the gateway, which is this board, and others that the configuration knows.
Each device is a job: the order's bid is its id, the device's place its number. Others come first,
because the gateway's own update resets it. The platform says an order once and never again, so the
board keeps it in flash until the next order. One file says what the order is about, another how
far it is.

    devices   of an order, as it came: addresses, digests, sizes
    order     bid, tid; until: when it is late, in seconds since 1970; of each device sns, types,
              ends (a status, or None) and whys; judged: how many were; accepted; begun: the place
              of the device at work; percent, applied; at its end status, result and told

memory   the order without its devices, about 400 B; a message of at most 8 KiB while it is read
source   document 004; DJI Cloud API, "Topic definition" and "Firmware upgrade", which it is from
"""

import json
from random import getrandbits

from sluice.errors import Fail
from sluice.journal import File
from sluice.loading import Scope, plug_in
from sluice.log import Log

LATE = "not finished in time"  # the reason that is told as a status of its own
_ORDERS = "sluice.clouds.product_orders"  # loaded when an order comes, or is gone on with
_SHADOW = "sluice.clouds.shadow"  # loaded between orders
_WORDS = "sluice.clouds.product_words"  # loaded while something is told
_ORDER, _ENTRIES = 8192, 16_384  # bytes of the two files, at most; a message has 8 KiB
_DOWNLOADED = 90  # percent of a device's share once all of its file is there

log = Log("product")


class Product:
    """The orders to one gateway over one link.

    link      publish, deliver, subscribe, wait
    thing     its name: the gateway's serial number, unless `product_id` says another
    clock     now_s
    version   of the firmware that runs
    settings  product_id, devices, order_s
    shadow    what stays of it: see sluice.clouds.shadow; None: none is to be told
    """

    def __init__(self, link, thing, clock, version, settings, shadow=None):
        self.link = link
        self.clock = clock
        self.version = version
        self.gateway = settings["product_id"] or thing
        self.known = settings["devices"]
        self.order_s = settings["order_s"]
        self.topic = "thing/product/%s/" % self.gateway
        self.files = File("/order", _ORDER), File("/order.devices", _ENTRIES)
        self.order = None  # the last one; open while it has no status
        self.heard = None  # a message that nobody read yet
        self.job = None  # handed out, and nothing was heard of its end
        self.tid = self.answer = None  # of the event that is to be answered; the answer's result
        self._subscribed = False
        self.shadow = shadow

    # -- what the agent asks -----------------------------------------------------------------

    async def linked(self):
        """After every connect: have the shadow told, then start."""
        if self.shadow:
            self.shadow = await plug_in(_SHADOW, "linked")(self.shadow)
        await self.start()

    async def between_jobs(self):
        """What else there is to do: have the shadow told, when there is a reason."""
        if self.shadow:
            await plug_in(_SHADOW, "between_jobs")(self.shadow)

    async def start(self):
        """Subscribe, once. The platform says again what it gets no answer to."""
        self.job = None
        if self._subscribed:
            return
        self.order = await self._do(_ORDERS, "kept_order")
        await self.link.subscribe(self.topic + "services", self._on_services, 1)
        await self.link.subscribe(self.topic + "events_reply", self._on_answer, 1, 1024)
        self._subscribed = True

    def pending(self, job):
        """All that is known of a job is in the order."""
        return job

    async def next_job(self, poll_ms):
        """The next device of the order that is open, else of the next order; None when there is
        something to do between jobs."""
        other = plug_in(_SHADOW, "reasons")(self.shadow) if self.shadow else bool
        while True:
            if self.heard or self.order and not self.order["told"]:
                self.job = await self._do(_ORDERS, "next_job")
                if self.job:
                    return self.job
            if other():
                return None
            await self.link.wait(lambda: self.heard or other(), poll_ms)

    async def accept(self, job):
        """The job, or the next one to judge: an order is begun once all of it was judged."""
        if job.queued:
            job = await self._do(_ORDERS, "judged", job)
        self.job = job
        return job

    async def report(self, job, step, info):
        """Tell a step, or a device's outcome; the order's own is told until it was answered.

        raises   Retry when nobody answers
        """
        await self._do(_WORDS, "report", job, step, info)

    def progress(self, job, info):
        """Tell how far the download is. What is told is in flash, so that it never goes back."""
        self.advance(_DOWNLOADED * info["received"] // max(info["total"], 1))
        self.link.publish(self.topic + "events", self.event("in_progress"))

    async def still(self, job):
        """An order cannot be withdrawn. Raises Fail when it is late."""
        if self.heard:
            await self._do(_ORDERS, "turn_away")
        if self.order and self.clock.now_s() > self.order["until"]:
            raise Fail(LATE)

    # -- for the parts that are loaded now and then ------------------------------------------

    def advance(self, share):
        """So many percent of the device at work are done; noted if that is more than before."""
        ends = self.order["ends"]
        done = len(ends) - ends.count(None)
        percent = (done * 100 + share) // len(ends)
        if percent > self.order["percent"]:
            self.order["percent"] = percent
            self.save()

    def save(self):
        """The order as it stands is on the medium. Where that has no room the work goes on: after
        a reset it goes on from what was saved before."""
        try:
            self.keep(self.order)
        except OSError as error:
            log.w("not saved", error)

    def keep(self, order):
        self.files[0].save(json.dumps(order).encode())

    def event(self, status, reply=0):
        """An ota_progress, as text. Of `step_key` and `current_step`, newer platforms read the
        second."""
        order = self.order
        step = "upgrade_firmware" if order["applied"] else "download_firmware"
        progress = {"percent": order["percent"], "step_key": step}
        progress["current_step"] = 2 if order["applied"] else 1
        output = {"status": status, "progress": progress}
        if order["status"]:
            output["ext"] = self.ends()
        self.tid, self.answer = uuid(), None
        data = {"result": order["result"] if order["status"] else 0, "output": output}
        return self.message(self.tid, order["bid"], "ota_progress", data, reply)

    def ends(self):
        """What became of each device, and why; beside what the document has the platform read."""
        order = self.order
        reason = "; ".join([why for why in order["whys"] if why])
        return {"devices": dict(zip(order["sns"], order["ends"])), "reason": reason}

    def message(self, tid, bid, method, data, reply=None):
        """A message of the platform's kind, as text; the time is in ms, by a clock of seconds."""
        body = {"tid": tid, "bid": bid, "timestamp": self.clock.now_s() * 1000}
        body.update({"gateway": self.gateway, "method": method, "data": data})
        if reply is not None:
            body["need_reply"] = reply
        return json.dumps(body)

    # -- on demand, and by the link ----------------------------------------------------------

    async def _do(self, path, name, *words):
        with Scope():  # a download begins with a report, and has no room for this code later
            return await plug_in(path, name)(self, *words)

    def _on_services(self, topic, payload):
        """Only kept: this runs inside the link. One that is not read in time is said again."""
        if payload is None:
            log.w("message too large")
        self.heard = payload

    def _on_answer(self, topic, payload):
        body = content(payload)
        if body and self.tid and body.get("tid") == self.tid:
            data = body.get("data")
            self.answer = data.get("result", -1) if isinstance(data, dict) else -1


def content(payload):
    """The JSON object in a payload; None for anything else."""
    try:
        value = json.loads(payload) if payload else None
    except (ValueError, UnicodeError):
        value = None
    return value if isinstance(value, dict) else None


def uuid():
    """A random one, version 4."""
    bits = getrandbits
    words = (bits(32), bits(16), bits(12), 0x8000 | bits(14), bits(16), bits(32))
    return "%08x-%04x-4%03x-%04x-%04x%08x" % words
