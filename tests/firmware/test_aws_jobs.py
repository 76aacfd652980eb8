"""AWS IoT Jobs as the device speaks it: every answer, every rejection, every notice."""

import gc
import json

from doubles import Link, raised, run

from sluice import log
from sluice.clouds.aws_jobs import AWSJobs
from sluice.clouds.aws_pending import describe_job, pending_jobs
from sluice.errors import Gone, Retry
from sluice.job import Job

THING = "t" * 128
PREFIX = "$aws/things/%s/jobs/" % THING
INFO = {"reason": "because", "running": "1.2.3", "received": 3, "total": 9, "free": 1_000}


def execution(id="j1", status="QUEUED", version=1, number=1, stamp=1_700_000_000, **more):
    found = {"jobId": id, "status": status, "versionNumber": version, "executionNumber": number}
    found["queuedAt"] = stamp
    found["jobDocument"] = {"afr_ota": {}}
    found.update(more)
    return {"execution": found}


class Cloud:
    """Answers each request with the next of its script: (name, accepted, answer or None)."""

    def __init__(self, *script):
        self.script = list(script)
        self.requests = []
        self.progress = []  # answers to progress: (accepted, answer)

    def __call__(self, topic, message):
        assert topic.startswith(PREFIX)
        name, request = topic[len(PREFIX) :], json.loads(message)
        self.requests.append((name, request))
        if request["clientToken"] == "progress":
            accepted, answer = self.progress.pop(0) if self.progress else (True, None)
        else:
            expected, accepted, answer = self.script.pop(0)
            assert name == expected, name
        if answer is None:
            return ()
        if isinstance(answer, dict):
            answer = dict(answer)
            answer.setdefault("clientToken", request["clientToken"])
            answer = json.dumps(answer).encode()
        return [(topic + ("/accepted" if accepted else "/rejected"), answer)]


def speaker(*script):
    """(jobs, link, cloud), started with nothing pending."""
    cloud = Cloud(("$next/get", True, {}), *script)
    link = Link(cloud)
    jobs = AWSJobs(link, THING)
    run(jobs.start())
    cloud.requests.clear()
    return jobs, link, cloud


def notice(payload):
    """A notify-next message."""
    if isinstance(payload, dict):
        payload = json.dumps(payload).encode()
    return PREFIX + "notify-next", payload


def refusal(code, status=None, version=1):
    """A rejection, with the execution's state where the service tells it."""
    found = {"code": code, "message": "m", "timestamp": 1}
    if status:
        found["executionState"] = {"status": status, "versionNumber": version}
    return found


def started(id="j1", version=2):
    return Job(id, 1, version, queued=False, stamp=1_700_000_000)


def at_work(*script):
    """(jobs, link, cloud, job) in the middle of a job."""
    jobs, link, cloud = speaker(("start-next", True, execution("j1", "IN_PROGRESS", 2)), *script)
    job = run(jobs.accept(Job("j1", 1, stamp=1_700_000_000)))
    cloud.requests.clear()
    return jobs, link, cloud, job


# -- hearing of jobs -----------------------------------------------------------------------------


def test_jobs_start_subscribes_once_and_asks_each_time():
    cloud = Cloud(("$next/get", True, {}), ("$next/get", True, {}))
    link = Link(cloud)
    jobs = AWSJobs(link, THING)
    run(jobs.start())
    wanted = ("notify-next", "start-next/+", "+/get/+", "+/update/+")
    assert sorted(link.sinks) == sorted(PREFIX + topic for topic in wanted)
    link.sinks.clear()
    raised(Retry, jobs.start)  # nobody hears the answer: the link is to subscribe anew, not we
    assert not link.sinks
    assert [name for name, _ in cloud.requests] == ["$next/get"] * 2


def test_jobs_pending_job_at_start_is_the_next():
    link = Link(Cloud(("$next/get", True, execution(statusDetails={"a": "b"}))))
    jobs = AWSJobs(link, THING)
    run(jobs.start())
    job = run(jobs.next_job(1_000))
    assert (job.id, job.number, job.version, job.stamp) == ("j1", 1, 1, 1_700_000_000)
    assert job.queued and not job.trial and job.document == {"afr_ota": {}}


def tight(free, work):
    """The result of work() with about so much of the heap free, in pieces of a KiB and more."""
    ballast = None
    gc.collect()
    while gc.mem_free() > free:
        ballast = (ballast, bytearray(1_024))
    return work()


def test_jobs_whose_json_outgrows_the_heap_are_as_too_large():
    lists = b"[%s[]]" % (b"[]," * 2_600)  # 8 KB of text, 80 of objects
    message = b'{"execution": {"jobId": "j1", "jobDocument": {"x": %s}}}' % lists
    jobs, link, cloud = speaker(
        ("$next/get", True, message), ("$next/get", True, execution(jobDocument=None))
    )
    tight(56_000, lambda: run(jobs.start()))
    job = run(jobs.next_job(1_000))
    assert (job.id, job.document) == ("j1", None)
    assert [request.get("includeJobDocument") for _, request in cloud.requests] == [None, False]
    jobs, link, cloud, job = at_work(
        ("j1/get", True, message), ("j1/get", True, execution("j1", "IN_PROGRESS", 3))
    )
    tight(60_000, lambda: link.bring(*notice(message)))
    tight(60_000, lambda: run(jobs.still(job)))  # could not be read: nothing speaks against it
    run(jobs.still(job))
    assert job.version == 3 and not cloud.script


def test_jobs_requests_have_tokens_of_their_own_within_64_bytes():
    jobs, link, cloud = speaker(*[("$next/get", True, {})] * 20)
    for _ in range(20):
        run(jobs.start())
    tokens = {request["clientToken"] for _, request in cloud.requests}
    assert len(tokens) == 20 and all(0 < len(token) <= 64 for token in tokens)


def test_jobs_requests_go_out_at_qos_1():
    jobs, link, cloud = speaker()
    assert [qos for _, _, qos in link.sent] == [1]


def test_jobs_notice_of_a_job_is_the_next():
    jobs, link, cloud = speaker()
    link.inbox.append(notice(execution("AFR_OTA-1", version=4, number=2)))
    job = run(jobs.next_job(1_000))
    assert (job.id, job.version, job.number) == ("AFR_OTA-1", 4, 2) and not cloud.requests


def test_jobs_empty_notice_is_nothing_to_do():
    jobs, link, cloud = speaker(("$next/get", True, execution("later")))
    link.inbox += [notice({"timestamp": 1_739_152_141}), notice({"execution": {}}), notice(b"")]
    assert run(jobs.next_job(60_000)).id == "later"
    assert link.clock.now == 1_000 + 60_000


def test_jobs_notice_lost_is_made_up_for_by_asking_every_poll():
    jobs, link, cloud = speaker(("$next/get", True, {}), ("$next/get", True, execution("found")))
    assert run(jobs.next_job(60_000)).id == "found"
    assert link.clock.now == 1_000 + 2 * 60_000


def test_jobs_notice_overtaken_by_an_empty_one_is_forgotten():
    jobs, link, cloud = speaker(("$next/get", True, execution("other")))
    link.bring(*notice(execution("withdrawn")))
    link.bring(*notice({"timestamp": 1}))
    assert run(jobs.next_job(1_000)).id == "other"


def test_jobs_empty_notice_that_overtakes_a_job_does_not_hide_it_until_the_next_poll():
    for late in ({"timestamp": 1}, {"execution": {}}, b"{}", execution("done", "IN_PROGRESS")):
        jobs, link, cloud = speaker(("$next/get", True, execution("j1")))
        link.inbox += [notice(execution("j1")), notice(late)]
        link.bring(*link.inbox.pop(0))
        link.bring(*link.inbox.pop(0))
        assert run(jobs.next_job(60_000)).id == "j1"
        assert link.clock.now == 1_000 and len(cloud.requests) == 1


def test_jobs_notice_that_comes_twice_is_one_job_and_asks_nothing():
    jobs, link, cloud = speaker()
    link.bring(*notice(execution("j1")))
    link.bring(*notice(execution("j1")))
    assert run(jobs.next_job(60_000)).id == "j1" and not cloud.requests


def test_jobs_two_notices_that_disagree_are_asked_about_in_either_order():
    for ids in (("old", "new"), ("new", "old")):
        jobs, link, cloud = speaker(("$next/get", True, execution("new")))
        for id in ids:
            link.bring(*notice(execution(id)))
        assert run(jobs.next_job(60_000)).id == "new" and link.clock.now == 1_000


def test_jobs_notice_of_a_started_job_that_is_late_is_not_done_again():
    """Nothing but the last job is in the journal: what was done before would be done again."""
    answers = [(True, execution("old", status)) for status in ("SUCCEEDED", "CANCELED")]
    answers += [(False, refusal("TerminalStateReached")), (False, refusal("ResourceNotFound"))]
    for accepted, answer in answers:
        jobs, link, cloud = speaker(("old/get", accepted, answer))
        link.bring(*notice(execution("old", "IN_PROGRESS", 2)))
        job = run(jobs.next_job(60_000))
        raised(Gone, jobs.accept, job)
    jobs, link, cloud = speaker(("mine/get", True, execution("mine", "IN_PROGRESS", 5)))
    link.bring(*notice(execution("mine", "IN_PROGRESS", 2)))
    assert run(jobs.accept(run(jobs.next_job(60_000)))).version == 5


def test_jobs_started_job_that_an_answer_told_of_is_taken_without_asking_twice():
    link = Link(Cloud(("$next/get", True, execution("mine", "IN_PROGRESS", 2))))
    jobs = AWSJobs(link, THING)
    run(jobs.start())
    assert run(jobs.accept(run(jobs.next_job(60_000)))).version == 2


def test_answer_that_is_followed_by_another_with_its_token_stands():
    def both(first, second):
        def cloud(topic, message):
            token = json.loads(message)["clientToken"]
            found = []
            for accepted, answer in (first, second):
                payload = json.dumps(dict(answer, clientToken=token)).encode()
                found.append((topic + ("/accepted" if accepted else "/rejected"), payload))
            return found

        return cloud

    pair = (True, execution("j1", "IN_PROGRESS", 7)), (False, refusal("TerminalStateReached"))
    for first, second in (pair, (pair[1], pair[0])):
        jobs, link, cloud = speaker()
        link.cloud = both(first, second)
        link.wait = all_of_it(link)
        accepted, answer = run(jobs.request("j1/get", {}))
        assert accepted == first[0] and answer.get("code") == first[1].get("code")


def all_of_it(link):
    """Link.wait, but what has come is read to its end, as a turn of the link does."""

    async def wait(ready, deadline_ms):
        while link.inbox:
            link.bring(*link.inbox.pop(0))
        return ready()

    return wait


def test_answer_that_is_late_or_of_another_token_is_nobodys():
    jobs, link, cloud = speaker(("$next/get", True, None), ("$next/get", True, None))
    raised(Retry, jobs.start)
    late = json.dumps(dict(execution("j1"), clientToken=cloud.requests[0][1]["clientToken"]))
    link.bring(PREFIX + "$next/get/accepted", late.encode())
    assert jobs.token is None and jobs._answer is None
    link.inbox.append((PREFIX + "$next/get/accepted", late.encode()))
    raised(Retry, jobs.start)
    link.inbox.append((PREFIX + "$next/get/rejected", b"x" * 9_000))  # too large, and nobody's
    link.bring(*link.inbox.pop(0))
    assert jobs._answer is None


def test_jobs_counts_that_the_journal_could_not_keep_are_no_execution():
    for wrong in (execution(number=1 << 70), execution(number=-1), execution(version=1 << 70),
                  execution(number=True), execution(id="a\0")):  # fmt: skip
        jobs, link, cloud = speaker(("$next/get", True, execution("good")))
        link.inbox.append(notice(wrong))
        assert run(jobs.next_job(1_000)).id == "good", wrong
    jobs, link, cloud = speaker()
    link.inbox.append(notice(execution(stamp=-1)))
    assert run(jobs.next_job(1_000)).stamp == 0


def test_jobs_notice_before_an_answer_that_does_not_know_of_it_yet_is_heard():
    jobs, link, cloud = speaker(("$next/get", True, {}))

    def later(topic, message):
        return [notice(execution("new"))] + cloud(topic, message)

    link.cloud = later
    run(jobs.start())
    assert run(jobs.next_job(60_000)).id == "new" and link.clock.now == 1_000


def test_jobs_notice_that_the_heap_has_no_room_to_judge_is_asked_for_at_once():
    def full(line):
        raise MemoryError

    jobs, link, cloud = speaker(("$next/get", True, execution("told")))
    log.to(full)
    try:
        raised(MemoryError, link.bring, *notice(b"[]"))  # it says that this is no object
    finally:
        log.to(print)
    assert run(jobs.next_job(60_000)).id == "told" and link.clock.now == 1_000


def test_jobs_notice_that_is_no_execution_is_passed_over():
    for wrong in (
        b"junk", b"[1,2]", b"\xff\xfe", b'{"execution":5}', b'{"execution":[]}', b"null",
        execution(id=""), execution(id=5), execution(id="x" * 65), execution(id="a/b"),
        execution(id="a+"), execution(id="#"), execution(number="1"), execution(version=None),
        execution(status="SUCCEEDED"), execution(status=None), execution(status="CANCELED"),
    ):  # fmt: skip
        jobs, link, cloud = speaker(("$next/get", True, execution("good")))
        link.inbox.append(notice(wrong))
        assert run(jobs.next_job(1_000)).id == "good", wrong


def test_jobs_id_of_64_characters_is_taken():
    jobs, link, cloud = speaker()
    link.inbox.append(notice(execution("j" * 64)))
    assert run(jobs.next_job(1_000)).id == "j" * 64


def test_jobs_details_and_stamp_of_the_wrong_type_are_passed_over():
    jobs, link, cloud = speaker()
    link.inbox.append(notice(execution(statusDetails=[1], queuedAt="soon")))
    job = run(jobs.next_job(1_000))
    assert job.trial is False and job.stamp == 0


def test_jobs_execution_that_was_told_of_a_trial_says_so():
    jobs, link, cloud = speaker()
    told = {"self_test": "ready", "updatedBy": "0x01000000"}
    link.inbox.append(notice(execution(statusDetails=told)))
    assert run(jobs.next_job(1_000)).trial is True


def test_jobs_document_over_8_kib_is_asked_for_without_it():
    large = execution(jobDocument={"x": "y" * 9_000})
    small = execution("big", jobDocument=None)
    jobs, link, cloud = speaker(("$next/get", True, large), ("$next/get", True, small))
    run(jobs.start())
    assert [request.get("includeJobDocument") for _, request in cloud.requests] == [None, False]
    job = run(jobs.next_job(1_000))
    assert job.id == "big" and job.document is None


def test_jobs_unanswered_request_is_tried_again_later():
    jobs, link, cloud = speaker(("$next/get", True, None))
    assert str(raised(Retry, jobs.start)) == "no answer $next/get"
    assert link.clock.now == 1_000 + 15_000


def test_jobs_next_refused_is_tried_again_later():
    jobs, link, cloud = speaker(("$next/get", False, refusal("RequestThrottled")))
    assert "RequestThrottled" in str(raised(Retry, jobs.start))


def test_jobs_answer_with_another_token_is_passed_over():
    for token in ("theirs", "", None, 5):
        stranger = execution("stolen", clientToken=token)
        stranger["clientToken"] = token
        jobs, link, cloud = speaker(("$next/get", True, stranger))
        raised(Retry, jobs.start)
        assert link.clock.now == 1_000 + 15_000


def test_jobs_answer_that_is_no_json_object_is_passed_over():
    for junk in (b"", b"junk", b"[]", b"5", b"\xff"):
        jobs, link, cloud = speaker(("$next/get", True, junk))
        raised(Retry, jobs.start)


def test_jobs_late_answer_to_an_earlier_request_is_passed_over():
    jobs, link, cloud = speaker(("$next/get", True, None), ("$next/get", True, execution("new")))
    raised(Retry, jobs.start)
    late = execution("old")
    late["clientToken"] = cloud.requests[0][1]["clientToken"]
    link.inbox.append((PREFIX + "$next/get/accepted", json.dumps(late).encode()))
    run(jobs.start())
    assert run(jobs.next_job(1_000)).id == "new"


# -- accepting -----------------------------------------------------------------------------------


def test_accept_queued_job_is_started_and_handed_out_anew():
    jobs, link, cloud = speaker(("start-next", True, execution("j1", "IN_PROGRESS", 2)))
    job = run(jobs.accept(Job("j1", 1)))
    assert job.id == "j1" and job.version == 2 and not job.queued
    assert cloud.requests[0][1]["statusDetails"] == {"step": "accepted"}


def test_accept_may_hand_out_another_job():
    jobs, link, cloud = speaker(("start-next", True, execution("first", "IN_PROGRESS", 5)))
    assert run(jobs.accept(Job("j1", 1))).id == "first"


def test_accept_of_a_started_job_asks_nothing():
    jobs, link, cloud = speaker()
    job = started()
    assert run(jobs.accept(job)) is job and not cloud.requests


def test_accept_with_nothing_pending_any_more_is_gone():
    jobs, link, cloud = speaker(("start-next", True, {"timestamp": 1}))
    raised(Gone, jobs.accept, Job("j1", 1))


def test_accept_unanswered_is_tried_again():
    jobs, link, cloud = speaker(("start-next", True, None))
    raised(Retry, jobs.accept, Job("j1", 1))


def test_pending_execution_is_the_jobs_own_if_it_is_the_same():
    found = execution("j1", "IN_PROGRESS", 7)
    link = Link(Cloud(("$next/get", True, found)))
    jobs = AWSJobs(link, THING)
    assert jobs.pending(Job("j1", 1)).version == 1
    run(jobs.start())
    assert jobs.pending(Job("j1", 1, stamp=1_700_000_000)).version == 7
    for other in (
        Job("j2", 1, stamp=1_700_000_000),
        Job("j1", 2, stamp=1_700_000_000),
        Job("j1", 1),
    ):
        assert jobs.pending(other) is other


# -- reporting -----------------------------------------------------------------------------------


def test_report_every_step_says_its_status_and_details():
    expected = {
        "accepted": ("IN_PROGRESS", {"step": "accepted"}),
        "downloading": (
            "IN_PROGRESS",
            {"step": "downloading", "nextState": "download_firmware"},
        ),
        "applying": (
            "IN_PROGRESS",
            {"self_test": "ready", "updatedBy": "0x01020003", "nextState": "apply_firmware"},
        ),
        "trying": ("IN_PROGRESS", {"self_test": "active", "updatedBy": "0x01020003"}),
        "succeeded": ("SUCCEEDED", {"reason": "because", "nextState": "none"}),
        "failed": ("FAILED", {"reason": "because"}),
        "rejected": ("REJECTED", {"reason": "because"}),
    }
    for step, (status, details) in expected.items():
        jobs, link, cloud = speaker(("j1/update", True, {}))
        job = started(version=6)
        run(jobs.report(job, step, INFO))
        ((name, request),) = cloud.requests
        assert (request["status"], request["statusDetails"]) == (status, details), step
        assert (request["expectedVersion"], request["executionNumber"]) == (6, 1)
        assert job.version == 7 and not job.queued


def test_report_details_stay_within_the_services_limits():
    info = dict(INFO, reason="line\nbreak\ttab \u20ac\x7f" + "x" * 2_000)
    jobs, link, cloud = speaker(("j1/update", True, {}), ("j1/update", True, {}))
    run(jobs.report(started(), "failed", info))
    run(jobs.report(started(), "failed", dict(INFO, reason="")))
    text, empty = [request["statusDetails"]["reason"] for _, request in cloud.requests]
    assert len(text) == 1_024 and all(" " <= c <= "~" for c in text)
    assert text.startswith("line?break?tab ?") and empty == "-"


def test_report_updated_by_is_packed_as_awss_agent_does():
    for running, packed in (("1.2.3", "0x01020003"), ("10.0.513", "0x0a000201"), ("1.2", "1.2"),
                            ("v1", "v1"), ("", "unknown"), (None, "unknown"),
                            ("1.2.3-rc1", "0x01020003")):  # fmt: skip
        jobs, link, cloud = speaker(("j1/update", True, {}))
        run(jobs.report(started(), "applying", dict(INFO, running=running)))
        assert cloud.requests[0][1]["statusDetails"]["updatedBy"] == packed, running


def test_report_topic_with_the_longest_names_is_whole():
    jobs, link, cloud = speaker(("j" * 64 + "/update", True, {}))
    run(jobs.report(started("j" * 64), "failed", INFO))
    assert len(link.sent[-1][0]) == 12 + 128 + 6 + 64 + 7


def test_report_version_mismatch_is_said_again_with_the_right_version():
    wrong = refusal("VersionMismatch", "IN_PROGRESS", 9)
    jobs, link, cloud = speaker(("j1/update", False, wrong), ("j1/update", True, {}))
    job = started()
    run(jobs.report(job, "succeeded", INFO))
    assert [request["expectedVersion"] for _, request in cloud.requests] == [2, 9]
    assert [request["status"] for _, request in cloud.requests] == ["SUCCEEDED"] * 2
    assert job.version == 10


def test_report_version_mismatch_for_ever_is_given_up():
    script = [("j1/update", False, refusal("VersionMismatch", "IN_PROGRESS", n)) for n in range(4)]
    jobs, link, cloud = speaker(*script)
    assert "overtaken" in str(raised(Retry, jobs.report, started(), "succeeded", INFO))
    assert len(cloud.requests) == 4


def test_report_outcome_that_stands_already_counts_as_said():
    for code in ("VersionMismatch", "InvalidStateTransition", "TerminalStateReached"):
        for step, status in (
            ("succeeded", "SUCCEEDED"),
            ("failed", "FAILED"),
            ("rejected", "REJECTED"),
        ):
            jobs, link, cloud = speaker(("j1/update", False, refusal(code, status, 5)))
            run(jobs.report(started(), step, INFO))
            assert len(cloud.requests) == 1


def test_report_of_an_execution_that_is_over_otherwise_is_gone():
    answers = [refusal("ResourceNotFound"), refusal("TerminalStateReached")]
    for code in ("VersionMismatch", "InvalidStateTransition", "TerminalStateReached"):
        answers += [refusal(code, status, 5) for status in ("CANCELED", "TIMED_OUT", "FAILED")]
    for answer in answers:
        for step in ("applying", "succeeded"):
            jobs, link, cloud = speaker(("j1/update", False, answer))
            gone = raised(Gone, jobs.report, started(), step, INFO)
            state = answer.get("executionState", {})
            assert str(gone) == answer["code"] and gone.status == state.get("status")


def test_report_rejected_too_late_is_said_as_failed():
    late = refusal("InvalidStateTransition", "IN_PROGRESS", 3)
    jobs, link, cloud = speaker(("j1/update", False, late), ("j1/update", True, {}))
    job = Job("j1", 1)
    run(jobs.report(job, "rejected", INFO))
    assert [r["status"] for _, r in cloud.requests] == ["REJECTED", "FAILED"]
    assert [r["expectedVersion"] for _, r in cloud.requests] == [1, 3]


def test_report_rejected_too_late_and_of_another_version_is_said_as_failed():
    script = [("j1/update", False, refusal("VersionMismatch", "IN_PROGRESS", 3))]
    script += [("j1/update", False, refusal("InvalidStateTransition", "IN_PROGRESS", 3))]
    script += [("j1/update", True, {})]
    jobs, link, cloud = speaker(*script)
    run(jobs.report(Job("j1", 1), "rejected", INFO))
    assert [r["status"] for _, r in cloud.requests] == ["REJECTED", "REJECTED", "FAILED"]


def test_report_to_a_busy_service_is_tried_again_later():
    for code in ("InternalError", "RequestThrottled"):
        jobs, link, cloud = speaker(("j1/update", False, refusal(code)))
        assert code in str(raised(Retry, jobs.report, started(), "succeeded", INFO))


def test_report_unanswered_is_tried_again_later():
    jobs, link, cloud = speaker(("j1/update", True, None))
    raised(Retry, jobs.report, started(), "succeeded", INFO)


def test_report_outcome_lets_go_of_the_job_and_keeps_the_next():
    jobs, link, cloud, job = at_work(("j1/update", True, {}))
    link.bring(*notice(execution("j2")))
    run(jobs.report(job, "succeeded", INFO))
    assert run(jobs.next_job(1_000)).id == "j2" and len(cloud.requests) == 1


def test_report_outcome_forgets_what_was_heard_of_the_same_job():
    script = [("$next/get", True, execution("j1", "IN_PROGRESS", 2)), ("j1/update", True, {})]
    jobs, link, cloud = speaker(*script, ("$next/get", True, execution("j2")))
    run(jobs.start())
    run(jobs.report(started(), "succeeded", INFO))
    assert run(jobs.next_job(1_000)).id == "j2"


# -- in the middle of a job ----------------------------------------------------------------------


def test_progress_is_told_without_waiting():
    jobs, link, cloud, job = at_work()
    jobs.progress(job, INFO)
    ((name, request),) = cloud.requests
    assert name == "j1/update" and "expectedVersion" not in request
    assert request["statusDetails"] == {"receive": "3/9", "heap": "1000"}
    assert link.sent[-1][2] == 0


def test_progress_accepted_raises_the_version():
    jobs, link, cloud, job = at_work(("j1/update", True, {}))
    cloud.progress = [(True, {}), (True, {})]
    jobs.progress(job, INFO)
    jobs.progress(job, INFO)
    while link.inbox:
        link.bring(*link.inbox.pop(0))
    run(jobs.report(job, "applying", INFO))
    assert cloud.requests[-1][1]["expectedVersion"] == 4


def test_progress_lost_costs_one_more_update():
    mismatch = refusal("VersionMismatch", "IN_PROGRESS", 3)
    jobs, link, cloud, job = at_work(("j1/update", False, mismatch), ("j1/update", True, {}))
    jobs.progress(job, INFO)
    run(jobs.report(job, "applying", INFO))
    assert job.version == 4


def test_progress_rejected_as_over_makes_still_ask():
    for code in ("TerminalStateReached", "ResourceNotFound", "InvalidStateTransition"):
        jobs, link, cloud, job = at_work(("j1/get", True, execution("j1", "CANCELED", 3)))
        cloud.progress = [(False, refusal(code))]
        jobs.progress(job, INFO)
        link.bring(*link.inbox.pop(0))
        assert str(raised(Gone, jobs.still, job)) == "CANCELED"


def test_progress_throttled_is_no_doubt():
    jobs, link, cloud, job = at_work()
    cloud.progress = [(False, refusal("RequestThrottled"))]
    jobs.progress(job, INFO)
    link.bring(*link.inbox.pop(0))
    run(jobs.still(job))
    assert len(cloud.requests) == 1


def test_still_without_a_doubt_asks_nothing():
    jobs, link, cloud, job = at_work()
    run(jobs.still(job))
    assert not cloud.requests


def test_still_after_an_empty_notice_asks_and_goes_on_with_a_job_that_is_ours():
    answer = execution("j1", "IN_PROGRESS", 8)
    jobs, link, cloud, job = at_work(("j1/get", True, answer))
    link.bring(*notice({"timestamp": 1}))
    run(jobs.still(job))
    run(jobs.still(job))
    ((name, request),) = cloud.requests
    assert request["includeJobDocument"] is False and request["executionNumber"] == 1
    assert job.version == 8


def test_still_of_a_job_that_was_withdrawn_is_gone():
    answers = [(True, execution("j1", status)) for status in ("CANCELED", "TIMED_OUT", "REMOVED")]
    answers += [(True, {}), (False, refusal("ResourceNotFound"))]
    answers += [(False, refusal("TerminalStateReached"))]
    for accepted, answer in answers:
        jobs, link, cloud, job = at_work(("j1/get", accepted, answer))
        link.bring(*notice({"timestamp": 1}))
        raised(Gone, jobs.still, job)


def test_still_unsure_asks_again():
    script = [
        ("j1/get", False, refusal("InternalError")),
        ("j1/get", True, execution("j1", "CANCELED")),
    ]
    jobs, link, cloud, job = at_work(*script)
    link.bring(*notice({"timestamp": 1}))
    run(jobs.still(job))
    raised(Gone, jobs.still, job)


def test_notice_of_the_job_at_hand_is_no_doubt():
    jobs, link, cloud, job = at_work()
    link.bring(*notice(execution("j1", "IN_PROGRESS", 3)))
    run(jobs.still(job))
    assert not cloud.requests


def test_notice_of_another_job_while_busy_is_kept_for_later():
    script = [("j1/get", True, execution("j1", "IN_PROGRESS", 2)), ("j1/update", True, {})]
    jobs, link, cloud, job = at_work(*script)
    link.bring(*notice(execution("j2", "IN_PROGRESS", 2)))
    run(jobs.still(job))
    run(jobs.report(job, "succeeded", INFO))
    assert run(jobs.next_job(1_000)).id == "j2"


# -- what a first review found --------------------------------------------------------------------


def test_jobs_notice_over_8_kib_makes_next_job_ask_at_once():
    jobs, link, cloud = speaker(("$next/get", True, execution("big", jobDocument=None)))
    link.inbox.append(notice(execution("big", jobDocument={"x": "y" * 9_000})))
    assert run(jobs.next_job(60_000)).id == "big"
    assert link.clock.now < 1_000 + 60_000


def test_notice_of_the_same_job_executed_anew_is_a_doubt_and_is_heard():
    for again in (execution("j1", number=2), execution("j1", stamp=1_800_000_000)):
        jobs, link, cloud, job = at_work(("j1/get", False, refusal("TerminalStateReached")))
        link.bring(*notice(again))
        raised(Gone, jobs.still, job)
        found = run(jobs.next_job(1_000))
        assert (found.number, found.stamp) != (job.number, job.stamp)


def test_notice_of_the_same_job_made_anew_after_it_was_gone_is_heard():
    jobs, link, cloud, job = at_work(("j1/get", True, execution("j1", "CANCELED", 3)))
    link.bring(*notice({"timestamp": 1}))
    raised(Gone, jobs.still, job)
    link.inbox.append(notice(execution("j1")))
    assert run(jobs.next_job(60_000)).id == "j1"
    assert link.clock.now < 1_000 + 60_000


def test_notice_of_the_same_job_made_anew_after_its_report_was_gone_is_heard():
    jobs, link, cloud, job = at_work(("j1/update", False, refusal("ResourceNotFound")))
    raised(Gone, jobs.report, job, "applying", INFO)
    link.inbox.append(notice(execution("j1")))
    assert run(jobs.next_job(60_000)).id == "j1"
    assert link.clock.now < 1_000 + 60_000


def test_accept_refused_by_a_busy_service_is_tried_again():
    for code in ("InternalError", "RequestThrottled"):
        jobs, link, cloud = speaker(("start-next", False, refusal(code)))
        assert code in str(raised(Retry, jobs.accept, Job("j1", 1)))


def test_report_that_the_service_can_never_take_is_gone():
    for code in ("InvalidRequest", "InvalidJson", "InvalidTopic"):
        jobs, link, cloud = speaker(("j1/update", False, refusal(code)))
        assert str(raised(Gone, jobs.report, started(), "succeeded", INFO)) == code


def test_answers_whose_members_are_of_the_wrong_type_raise_nothing_else():
    for wrong in ([], "x", 7, True, None):
        jobs, link, cloud = speaker(("start-next", True, {"execution": wrong}))
        raised(Gone, jobs.accept, Job("j1", 1))
        state = {"code": "VersionMismatch", "executionState": wrong}
        jobs, link, cloud, job = at_work(("j1/update", False, state))
        raised(Gone, jobs.report, job, "succeeded", INFO)
        version = {"status": "IN_PROGRESS", "versionNumber": wrong}
        state = {"code": "VersionMismatch", "executionState": version}
        jobs, link, cloud, job = at_work(
            ("j1/update", False, state), ("j1/update", True, {"timestamp": 1})
        )
        run(jobs.report(job, "succeeded", INFO))
        jobs, link, cloud, job = at_work(("j1/get", True, {"execution": wrong}))
        link.bring(*notice({"timestamp": 1}))
        raised(Gone, jobs.still, job)


# -- the step timer ------------------------------------------------------------------------------


def test_step_timer_goes_with_every_report_that_keeps_the_job_going():
    for minutes, wanted in ((30, [30, 30, None]), (-1, [-1, -1, None]), (0, [None] * 3)):
        cloud = Cloud(*[("j1/update", True, {})] * 3)
        link = Link(cloud)
        jobs = AWSJobs(link, THING, settings={"step_timeout_min": minutes})
        run(link.subscribe(PREFIX + "+/update/+", jobs._on_answer))
        for step in ("downloading", "applying", "succeeded"):
            run(jobs.report(started(), step, INFO))
        told = [request.get("stepTimeoutInMinutes") for _, request in cloud.requests]
        assert told == wanted


def test_step_timer_begins_with_the_start_where_it_sets_a_limit():
    for minutes, wanted in ((30, 30), (-1, None), (0, None)):
        cloud = Cloud(("start-next", True, execution("j1", "IN_PROGRESS", 2)))
        link = Link(cloud)
        jobs = AWSJobs(link, THING, settings={"step_timeout_min": minutes})
        run(link.subscribe(PREFIX + "start-next/+", jobs._on_answer))
        run(jobs.accept(Job("j1", 1)))
        ((_, request),) = cloud.requests
        assert request.get("stepTimeoutInMinutes") == wanted


# -- versions as the service counts them ---------------------------------------------------------


def test_report_goes_on_with_the_version_that_the_service_tells():
    for version, wanted in ((7, 7), (None, 3), ("7", 3), ([], 3)):
        state = {"executionState": {"status": "IN_PROGRESS", "versionNumber": version}}
        jobs, link, cloud, job = at_work(("j1/update", True, state))
        run(jobs.report(job, "downloading", INFO))
        assert job.version == wanted
        ((_, request),) = cloud.requests
        assert request["includeJobExecutionState"] is True
        assert request["expectedVersion"] == 2 and request["executionNumber"] == 1


# -- looking at jobs -----------------------------------------------------------------------------


def summary(id, number=1):
    return {"jobId": id, "queuedAt": 1, "lastUpdatedAt": 1, "versionNumber": 1,
            "executionNumber": number}  # fmt: skip


def test_pending_jobs_are_listed_running_before_queued():
    answer = {"inProgressJobs": [summary("a")], "queuedJobs": [summary("b"), summary("c", 2)]}
    link = Link(Cloud(("get", True, answer)))
    found = run(pending_jobs(link, THING))
    assert found == [("a", 1, "IN_PROGRESS"), ("b", 1, "QUEUED"), ("c", 2, "QUEUED")]
    assert not link.sinks


def test_pending_jobs_that_are_none_or_nonsense_are_none():
    for answer in ({"inProgressJobs": [], "queuedJobs": []}, {}, {"queuedJobs": 5},
                   {"inProgressJobs": [5, None]}):  # fmt: skip
        assert run(pending_jobs(Link(Cloud(("get", True, answer))), THING)) == []


def test_pending_jobs_refused_or_unanswered_say_so():
    link = Link(Cloud(("get", False, refusal("InvalidJson"))))
    assert "InvalidJson" in str(raised(Retry, pending_jobs, link, THING))
    for answer in (None, {"clientToken": "theirs"}, b"junk", b"[]"):
        link = Link(Cloud(("get", True, answer)))
        assert str(raised(Retry, pending_jobs, link, THING)) == "no answer get"
        assert not link.sinks


def test_job_is_described_with_or_without_its_document_and_by_number():
    answer = execution("j9")
    for words, wanted in (
        ((), {"includeJobDocument": True}),
        ((False,), {"includeJobDocument": False}),
        ((False, 3), {"includeJobDocument": False, "executionNumber": 3}),
    ):
        jobs, link, cloud = speaker(("j9/get", True, answer))
        assert run(describe_job(link, jobs, "j9", *words)) == answer["execution"]
        ((_, request),) = cloud.requests
        request.pop("clientToken")
        assert request == wanted


def test_job_is_described_after_the_agents_own_request():
    jobs, link, cloud = speaker(("j9/get", True, execution("j9")))
    jobs.token = "sluice-1"
    assert str(raised(Retry, describe_job, link, jobs, "j9")) == "busy get"
    assert not cloud.requests
    jobs.token = None
    assert run(describe_job(link, jobs, "j9"))["jobId"] == "j9"


def test_job_described_that_there_is_none_of_says_so():
    jobs, link, cloud = speaker(("$next/get", True, {}))
    assert run(describe_job(link, jobs, "$next")) == {}
    for code in ("ResourceNotFound", "TerminalStateReached", "RequestThrottled"):
        jobs, link, cloud = speaker(("j9/get", False, refusal(code)))
        assert code in str(raised(Retry, describe_job, link, jobs, "j9"))


# -- the cloud's time ----------------------------------------------------------------------------


class Told:
    """A clock that notes what it is told."""

    def __init__(self):
        self.times = []

    def cloud_says(self, unix_s):
        self.times.append(unix_s)


def test_time_of_an_answer_to_a_request_of_ours_is_told_to_the_clock():
    clock = Told()
    cloud = Cloud(("$next/get", True, {"timestamp": 1_800_000_000}))
    jobs = AWSJobs(Link(cloud), THING, clock, "1.0", {"step_timeout_min": 0})
    run(jobs.start())
    assert clock.times == [1_800_000_000]
    jobs._on_notify_next(*notice({"timestamp": 1_900_000_000}))
    for token in ("stolen", "progress", jobs.token):
        forged = json.dumps({"clientToken": token, "timestamp": 1_900_000_000}).encode()
        jobs._on_answer(PREFIX.encode() + b"$next/get/accepted", forged)
    assert clock.times == [1_800_000_000]
    cloud.script.append(("$next/get", False, refusal("RequestThrottled")))
    raised(Retry, jobs._ask_next)
    assert clock.times == [1_800_000_000, 1]
