"""What UpdateJobExecution is told: the agent's steps in the service's words, within its limits.

Part of sluice.clouds.aws_jobs; a module of its own because it is needed only now and then.

source   AWS IoT developer guide, "UpdateJobExecution"; limits: botocore iot-jobs-data; the
         self_test and updatedBy of AWS's own agent: ota-for-aws-iot-embedded-sdk, ota_mqtt.c; the
         nextState of nRF's: document 001
"""

from micropython import const

from sluice.clouds.aws_jobs import OPEN, PASSING, member, number, word
from sluice.errors import Gone, Retry
from sluice.log import Log

_TRIES = const(4)  # of an update whose version was overtaken
_PAIRS = const(10)  # statusDetails, at most
_VALUE = const(1024)  # characters of a statusDetails value, at most

# fmt: off
WIRE = {  # step → status of the execution, statusDetails made of the step's info
    "accepted":    ("IN_PROGRESS", {"step": "accepted"}),
    "downloading": ("IN_PROGRESS", {"step": "downloading", "nextState": "download_firmware"}),
    "applying":    ("IN_PROGRESS", {"self_test": "ready", "updatedBy": "{updated_by}",
                                    "nextState": "apply_firmware"}),
    "trying":      ("IN_PROGRESS", {"self_test": "active", "updatedBy": "{updated_by}"}),
    "rebooting":   ("IN_PROGRESS", {"step": "rebooting"}),
    "succeeded":   ("SUCCEEDED",   {"reason": "{reason}", "nextState": "none"}),
    "failed":      ("FAILED",      {"reason": "{reason}"}),
    "rejected":    ("REJECTED",    {"reason": "{reason}"}),
}
# fmt: on

log = Log("jobs")


async def report(jobs, job, step, info):
    """Tell a step or an outcome until it is accepted; see AWSJobs.report."""
    status = WIRE[step][0]
    for _ in range(_TRIES):
        request = {
            "status": status,
            "statusDetails": details(step, info),
            "expectedVersion": job.version,
            "executionNumber": job.number,
            "includeJobExecutionState": True,
        }
        if status in OPEN and jobs.timer:
            request["stepTimeoutInMinutes"] = jobs.timer
        accepted, answer = await jobs.request(job.id + "/update", request)
        if not accepted:
            status = _overtaken(jobs, job, status, answer)
        else:
            state = member(answer, "executionState")
            job.version = number(state.get("versionNumber"), job.version + 1)
            job.queued = False
        if accepted or not status:
            if WIRE[step][0] not in OPEN:
                jobs.forget(job)
            return
    raise Retry("update overtaken", job.id)


def _overtaken(jobs, job, status, answer):
    """What to say after a refused update; None when it was said already.

    1. the service is busy: Retry
    2. the execution is over with our own status: the answer to that was lost
    3. it goes on at another version: an answer to us was lost; say it with the right one
    4. REJECTED came too late, as it was started meanwhile: say FAILED
    5. anything else will not change by saying it again: Gone
    """
    code = word(answer, "code")
    state = member(answer, "executionState")
    now = word(state, "status")
    log.w("update refused", code, now, number(state.get("versionNumber"), None))
    if code in PASSING:
        raise Retry("update refused", code)
    if now == status and now not in OPEN:
        return None
    if now in OPEN:
        job.version = number(state.get("versionNumber"), job.version)
        job.queued = now == "QUEUED"
        if code == "VersionMismatch":
            return status
        if status == "REJECTED" and not job.queued:
            return "FAILED"
    jobs.forget(job)
    gone = Gone(code)
    gone.status = now  # what it ended as, where the service says so
    raise gone


def details(step, info):
    """statusDetails within the service's limits: 10 pairs of printable, non-empty strings."""
    words = dict(info)
    words["updated_by"] = _version32(info.get("running") or "")
    details = {}
    for key, form in list(WIRE[step][1].items())[:_PAIRS]:
        text = form.format(**words)[:_VALUE].encode()
        details[key] = bytes(c if 32 <= c < 127 else 63 for c in text[:_VALUE]).decode() or "-"
    return details


def _version32(version):
    """A version as AWS's agent packs it into `updatedBy`: "1.2.3" → "0x01020003"."""
    parts = version.split("-")[0].split(".")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        return version or "unknown"
    return "0x%02x%02x%04x" % tuple(int(part) for part in parts)
