"""AWS IoT Jobs: notify-next, $next/get, start-next and update, each answer awaited by its token.

The agent looks at a job before it starts it, because $next/get changes nothing. So it can reject a
job while that is still QUEUED. start-next then hands out the document anew, with fresh URLs. AWS
pushes answers to the requester unasked; other brokers need the subscriptions made here.

memory   one message of at most 8 KiB while it is read
source   AWS IoT developer guide, "Jobs MQTT API operations"; limits: botocore iot-jobs-data
"""

import json
from random import getrandbits

from micropython import const

from sluice.errors import Gone, Retry
from sluice.job import Job
from sluice.loading import Scope, plug_in
from sluice.log import Log

_ANSWER_MS = const(15_000)  # the service answers within 1 s (document 002: 0.6 s); links do not
_ID = const(64)  # characters of a job id, at most
_WIDEST = 0x3FFF_FFFF_FFFF_FFFF  # too big for const() on 32 bits

_UPDATES = "sluice.clouds.aws_updates"  # loaded while something is told
_SHADOW = "sluice.clouds.shadow"  # loaded between jobs
OPEN = ("QUEUED", "IN_PROGRESS")
_LARGE = "too large"  # the answer, for the heap as it is
_WORD = const(64)  # characters of a code or a status, at most
PASSING = ("InternalError", "RequestThrottled", _LARGE)  # all other refusals stay what they are

log = Log("jobs")


class AWSJobs:
    """The jobs of one thing over one link.

    link      publish, subscribe, wait
    thing     its name, which is also the MQTT client id
    clock     told the cloud's time by `cloud_says`, if it has that
    version   is what other dialects need
    settings  step_timeout_min
    shadow    what stays of it: see sluice.clouds.shadow; None: none is to be told
    """

    def __init__(self, link, thing, clock=None, version="", settings=None, shadow=None):
        self._link = link
        self._prefix = "$aws/things/%s/jobs/" % thing
        self._heard = None  # an execution that nobody took yet
        self._rumour = False  # it came by a notice, which may be late
        self._unread = False  # something changed that could not be read: ask
        self._doubted = False  # the job at hand may have been withdrawn
        self._job = None  # the job at hand
        self.token = self._answer = None  # of the request that is out; (accepted, dict) of it
        self._serial = getrandbits(24) << 8
        self._subscribed = False
        self._tell_time = getattr(clock, "cloud_says", None)
        self.timer = settings["step_timeout_min"] if settings else 0  # minutes
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
        """Subscribe, once; then ask what is pending, as nothing is kept for who was away."""
        if not self._subscribed:
            await self._link.subscribe(self._prefix + "notify-next", self._on_notify_next, 1)
            for answers in ("start-next/+", "+/get/+", "+/update/+"):
                await self._link.subscribe(self._prefix + answers, self._on_answer)
            self._subscribed = True
        await self._ask_next()

    def pending(self, job):
        """The execution that `start` found pending, if it is this one; else the job as it is."""
        found = _job(self._heard)
        return found if found and found.same(job) else job

    async def next_job(self, poll_ms):
        """The next job, when there is one; None when there is something to do between jobs.
        Asks again every `poll_ms`, should a notice be lost."""
        other = plug_in(_SHADOW, "reasons")(self.shadow) if self.shadow else bool
        self._job = None
        while True:
            job, self._heard = _job(self._heard), None
            if job or other():
                return job
            heard = await self._link.wait(lambda: self._heard or self._unread or other(), poll_ms)
            if self._unread or not heard:
                await self._ask_next()

    async def accept(self, job):
        """Start the job. Returns what start-next handed out, which may be another job.

        raises   Gone when nothing is pending any more
        """
        known = not job.queued
        if not known:
            request = {"statusDetails": {"step": "accepted"}}
            if self.timer > 0:  # -1, which takes a limit away, is for updates only
                request["stepTimeoutInMinutes"] = self.timer
            accepted, answer = await self.request("start-next", request)
            if not accepted:
                raise Retry("start-next refused", word(answer, "code"))
            job = _job(answer.get("execution"))
            if not job:
                raise Gone("nothing to start")
        self._job = job
        self._doubted = known and self._rumour
        await self.still(job)
        return job

    async def report(self, job, step, info):
        """Tell a step or an outcome; returns once it was accepted.

        raises   Gone when the execution is over for other reasons, Retry when nobody answers
        """
        with Scope():  # a download begins with a report, and has no room for this code later
            await plug_in(_UPDATES, "report")(self, job, step, info)

    def forget(self, job):
        """The execution is over: what was heard of it is stale."""
        self._job = None
        heard = _job(self._heard)
        if heard and heard.same(job):
            self._heard = None

    def progress(self, job, info):
        """Tell how far the download is; nobody waits for the answer."""
        told = "%d/%d" % (info["received"], info["total"])
        details = {"receive": told, "heap": str(info["free"])}
        if "form" in info:  # bytes of a smaller form
            details["form"] = info["form"]
        payload = {
            "status": "IN_PROGRESS",
            "statusDetails": details,
            "executionNumber": job.number,
            "clientToken": "progress",
        }
        self._link.publish(self._prefix + job.id + "/update", json.dumps(payload))

    async def still(self, job):
        """Returns at once while nothing speaks against the job; else asks. Raises Gone."""
        if not self._doubted:
            return
        self._doubted = False
        accepted, answer = await self.request(
            job.id + "/get", {"executionNumber": job.number, "includeJobDocument": False}
        )
        execution = member(answer, "execution")
        if not accepted and word(answer, "code") in PASSING:
            self._doubted = True  # the service could not say; ask again
        elif not accepted or execution.get("status") != "IN_PROGRESS":
            self.forget(job)
            raise Gone(word(execution, "status") or word(answer, "code"))
        else:
            job.version = number(execution.get("versionNumber"), job.version)

    # -- requests and answers ----------------------------------------------------------------

    async def _ask_next(self):
        self._unread, self._heard = False, None
        accepted, answer = await self.request("$next/get", {})
        if not accepted and word(answer, "code") == _LARGE:
            accepted, answer = await self.request("$next/get", {"includeJobDocument": False})
        if not accepted:
            raise Retry("$next/get refused", word(answer, "code"))
        if not self._heard:  # a notice may be later than the answer
            self._heard, self._rumour = answer.get("execution"), False

    async def request(self, name, payload):
        """(accepted, answer) for one request. Raises Retry after 15 s without one."""
        self._serial += 1
        self.token = payload["clientToken"] = "sluice-%x" % self._serial
        self._answer = None
        try:
            await self._link.deliver(self._prefix + name, json.dumps(payload))
            if not await self._link.wait(lambda: self._answer, _ANSWER_MS):
                raise Retry("no answer", name)
            answer = self._answer
        finally:
            self.token = None  # what comes from now on is late, and nobody's
        if self._tell_time:
            self._tell_time(answer[1].get("timestamp"))
        return answer

    def _on_answer(self, topic, payload):
        accepted = topic.endswith(b"/accepted")
        answer = _object(payload)
        if answer is None:
            if self.token and not self._answer:
                self._answer = (False, {"code": _LARGE})
            return
        token = answer.get("clientToken")
        if token == "progress":
            self._on_progress(accepted, answer)
        elif token and token == self.token and not self._answer:
            self._answer = (accepted, answer)  # the first stands, whatever else bears its token

    def _on_progress(self, accepted, answer):
        if accepted and self._job:
            self._job.version += 1
        elif not accepted and word(answer, "code") not in PASSING:
            self._doubted = True

    def _on_notify_next(self, topic, payload):
        """Another job is next, or none: then the one at hand may be gone.

        Notices are sent at QoS 1: one may come twice, late, or overtake another. So of two that
        disagree none is believed, and the cloud is asked. A single one costs nothing where it is
        late: start-next proves a job that is queued, and `accept` asks about one that is started.
        """
        before = self._unread, self._doubted
        self._unread = self._doubted = True
        answer = _object(payload)  # should that find the heap full, what it said is asked for
        if answer is None:
            return
        execution = answer.get("execution")
        job, held = _job(execution), _job(self._heard)
        self._unread, doubted = before
        if job and self._job and job.same(self._job):
            self._doubted = doubted
        elif held and not (job and job.same(held)):
            self._heard, self._unread = None, True
        else:
            self._heard, self._rumour = execution, True


def _object(payload):
    """The JSON object in the payload; {} for anything else, None for one that is too large."""
    if payload is None:
        return None
    try:
        value = json.loads(payload)
    except MemoryError:
        log.w("no room for what is in", len(payload))
        return None
    except (ValueError, UnicodeError):
        value = None
    if isinstance(value, dict):
        return value
    log.w("not a JSON object", len(payload))
    return {}


def word(answer, key):
    """The short text in a member of an answer; None when there is none. What is of another kind
    may be large once it is written out."""
    value = answer.get(key)
    return value if isinstance(value, str) and len(value) <= _WORD else None


def member(answer, key):
    """The object in a member of an answer; {} when there is none."""
    value = answer.get(key)
    return value if isinstance(value, dict) else {}


def counts(value):
    """True for what a count of the service's, or a time, may be: an int that the journal keeps."""
    return type(value) is int and 0 <= value <= _WIDEST


def number(value, otherwise):
    """The value, if it is such an int."""
    return value if counts(value) else otherwise


def _job(execution):
    """The Job of an execution; None, and a warning, when it is none that could be done."""
    if not isinstance(execution, dict):
        return None
    id, status = execution.get("jobId"), execution.get("status")
    number, version = execution.get("executionNumber", 1), execution.get("versionNumber", 1)
    details, stamp = execution.get("statusDetails"), execution.get("queuedAt")
    named = isinstance(id, str) and 0 < len(id) <= _ID and not any(c in id for c in "/+#\0")
    if not named or not (counts(number) and counts(version)):
        log.w("not an execution")
        return None
    if status not in OPEN:
        log.w("execution is over", id, status)
        return None
    return Job(
        id,
        number,
        version,
        status == "QUEUED",
        execution.get("jobDocument"),
        isinstance(details, dict) and "self_test" in details,
        stamp if counts(stamp) else 0,
    )
