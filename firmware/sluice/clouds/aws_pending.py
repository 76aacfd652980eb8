"""Looking at the thing's jobs without touching them: for the console.

Part of sluice.clouds.aws_jobs; a module of its own because the agent does not need it.

source   AWS IoT developer guide, "GetPendingJobExecutions", "DescribeJobExecution"
"""

import json

from micropython import const

from sluice.errors import Retry

_ANSWER_MS = const(15_000)  # as for the dialect's own requests
_TOKEN = "sluice-pending"


async def pending_jobs(link, thing):
    """[(job id, execution number, status)] of what waits or runs: at most 10, says the service.

    raises   Retry when nobody answers, or it is refused
    """
    topic = "$aws/things/%s/jobs/get" % thing
    answers = []

    def on_answer(topic, payload):
        answer = _object(payload)
        if answer.get("clientToken") == _TOKEN:
            answers.append((topic.endswith(b"/accepted"), answer))

    await link.subscribe(topic + "/+", on_answer)
    try:
        link.publish(topic, json.dumps({"clientToken": _TOKEN}), qos=1)
        if not await link.wait(lambda: answers, _ANSWER_MS):
            raise Retry("no answer", "get")
    finally:
        link.unsubscribe(topic + "/+")
    accepted, answer = answers[0]
    if not accepted:
        raise Retry("jobs/get refused", answer.get("code"))
    found = []
    for key, status in (("inProgressJobs", "IN_PROGRESS"), ("queuedJobs", "QUEUED")):
        rows = answer.get(key)
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict):
                found.append((row.get("jobId"), row.get("executionNumber"), status))
    return found


async def describe_job(link, dialect, job, document=True, number=None):
    """The execution of a job, a dict as the service has it; of its latest without a number.

    dialect  AWSJobs, whose requests have precedence: one that is out is waited for
    job      its id, or "$next" for the one that is next, for which {} means that there is none
    document False leaves the job document out
    raises   Retry when nobody answers, or it is refused, as for a job that is over
    """
    request = {"includeJobDocument": document}
    if number:
        request["executionNumber"] = number
    if not await link.wait(lambda: not dialect.token, _ANSWER_MS):
        raise Retry("busy", "get")
    accepted, answer = await dialect.request(job + "/get", request)
    if accepted:
        return answer.get("execution") or {}
    raise Retry("job not described", answer.get("code"))


def _object(payload):
    try:
        value = json.loads(payload or b"")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
