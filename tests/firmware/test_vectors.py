"""The device is judged by the recorded messages of source documents 000 to 003.

What the cloud said there is given to the device's own code, word for word but for the token, which
is the device's; what the device sends is compared with what was sent there.
"""

import json
import sys
from binascii import a2b_base64

from doubles import Flash, Link, Sources, run

from sluice.clouds import aws_shadow
from sluice.clouds.aws_jobs import AWSJobs
from sluice.clouds.aws_pending import describe_job, pending_jobs
from sluice.clouds.shadow import kept
from sluice.job import Job
from sluice.net.packets import PUBLISH, matches, packet, text
from sluice.slots.tree import Trees
from sluice.transfer.image import Image
from sluice.transfer.stream import MQTTStream
from sluice.version import VERSION

OURS = "sluice-"
INFO = {"reason": "done", "running": "1.0.0", "received": 0, "total": 1, "free": 1}


def vectors(name):
    """The messages of a document by their names."""
    here = [path for path in sys.path if path.endswith("tests/firmware")][0]
    with open(here + "/../vectors/" + name) as file:
        return {message["name"]: message for message in json.load(file)["messages"]}


class Recorded:
    """A cloud that gives the recorded answer to a request on the recorded topic."""

    def __init__(self, said, **answers):
        self.said = said
        self.answers = {said[asked]["topic"]: said[name] for asked, name in answers.items()}
        self.sent = []

    def __call__(self, topic, message):
        self.sent.append((topic, json.loads(message)))
        found = self.answers.get(topic)
        if not found:
            return ()
        request = json.loads(message)
        answer = found["payload"].encode()
        for key in ("c", "clientToken"):
            if key in request:
                theirs = json.loads(answer)[key]
                answer = answer.replace(
                    b'"%s"' % theirs.encode(), b'"%s"' % request[key].encode(), 1
                )
        return [(found["topic"], answer)]


def started(said, thing, asked, name):
    """(AWSJobs that heard the recorded answer to its first $next/get, its link, the cloud)."""
    cloud = Recorded(said, **{asked: name})
    link = Link(cloud)
    jobs = AWSJobs(link, thing)
    run(jobs.start())
    return jobs, link, cloud


def obliging(told):
    """A cloud that notes each request and accepts it."""

    def cloud(topic, message):
        request = json.loads(message)
        told.append((topic, request))
        answer = {"clientToken": request.get("clientToken"), "timestamp": 1}
        return [(topic + "/accepted", json.dumps(answer).encode())]

    return cloud


# -- document 000 --------------------------------------------------------------------------------


def test_document_000_execution_is_understood_as_the_job_that_it_is():
    said = vectors("000_jobs_and_streams.json")
    jobs, link, cloud = started(said, "mqttfx", "next", "execution")
    topic, request = cloud.sent[0]
    assert topic == said["next"]["topic"]
    assert list(request) == list(json.loads(said["next"]["payload"])) == ["clientToken"]
    job = run(jobs.next_job(1_000))
    assert (job.id, job.number, job.version) == ("AFR_OTA-GD32-007", 1, 2)
    assert not job.queued and job.stamp == 1639124162
    job.read()
    (file,) = job.files
    assert job.kind == "image" and file.source == "mqtt_stream"
    assert (file.size, file.id, file.algorithm, file.signer) == (60, 0, "ecdsa", "/")
    assert said["describe"]["topic"].split("/")[4] == file.stream
    assert len(a2b_base64(file.signature)) == 70


def test_document_000_stream_is_described_and_streamed_as_recorded():
    said = vectors("000_jobs_and_streams.json")
    jobs, _, _ = started(said, "mqttfx", "next", "execution")
    job = run(jobs.next_job(1_000))
    job.read()
    cloud = Recorded(said, describe="description", get="data")
    link = Link(cloud)
    flash = Flash(1)
    image = Image(flash, 60, 256)
    settings = {"thing": "mqttfx", "window": 262_144, "stream_format": "json"}
    stream = MQTTStream(Sources(link, settings), job.files[0], 256)
    heard = []
    subscribe = link.subscribe

    async def noted(topics):
        heard.extend(topics)
        await subscribe(topics)

    async def watch():
        pass

    link.subscribe = noted
    run(stream.fetch(image, watch))
    data = a2b_base64(json.loads(said["data"]["payload"])["p"])
    assert bytes(flash.data[:60]) == data and len(data) == 60
    assert sorted(heard) == sorted(
        said[name]["subscription"] for name in ("hear_description", "hear_data", "hear_rejected")
    )
    for (topic, request), name in zip(cloud.sent, ("describe", "get")):
        wanted = json.loads(said[name]["payload"])
        assert topic == said[name]["topic"]
        assert request.pop("c").startswith(OURS) and wanted.pop("c")
        wanted.pop("s", None)  # which is not known yet: the description is on its way
        assert request == wanted
    assert len(cloud.sent) == 2


# -- document 001 --------------------------------------------------------------------------------

# Its topics are spelt with <thingName> and <jobId>, which are the names here. The order, and what
# only a session can show, is in tests/scenarios/test_document_001.py.
NRF_THING, NRF_JOB = "<thingName>", "<jobId>"


def test_document_001_version_goes_to_the_shadow_under_its_key():
    said = vectors("001_http_update.json")["version"]
    key, _, version = said["text"].strip("{}").partition(": ")
    told = []

    class Agent:
        link = Link(obliging(told))
        settings = {"thing": NRF_THING, "report_version": key}

        class slots:
            version = "1.0.0"

        trees = Trees({}, False, "SIM_ESP32")

    real, aws_shadow.plug_in = aws_shadow.plug_in, lambda path, name: "SIM_ESP32"
    try:
        run(aws_shadow.report_version(Agent, kept(None, None)))
    finally:
        aws_shadow.plug_in = real
    [(topic, report)] = told
    reported = report["state"]["reported"]
    assert topic == said["topic"] and reported.pop(key) == version.lstrip("v")
    ours = {"board": "SIM_ESP32", "agent": VERSION, "app": None, "trees": None}
    ours["app_state"] = None
    assert reported == ours  # what the document does not know


def test_document_001_topics_are_subscribed():
    said = vectors("001_http_update.json")
    link = Link(obliging([]))
    run(AWSJobs(link, NRF_THING).start())
    assert said["subscribe"]["topic"] in link.sinks
    assert said["job"]["topic"] == said["subscribe"]["topic"]
    answers = said["answers"]["text"].split("\\n")
    assert len(answers) == 2
    for topic in answers:
        assert any(matches(pattern, topic.encode()) for pattern in link.sinks), topic


def test_document_001_steps_are_told_in_its_words():
    said = vectors("001_http_update.json")
    told = []
    link = Link(obliging(told))
    jobs = AWSJobs(link, NRF_THING)
    run(jobs.start())
    job = Job(NRF_JOB, 1)
    for step, name in (
        ("downloading", "download"),
        ("applying", "apply"),
        ("succeeded", "succeeded"),
    ):
        run(jobs.report(job, step, INFO))
        topic, request = told[-1]
        assert topic == said["download"]["topic"]
        words = request["statusDetails"]
        words["status"] = request["status"]
        for line in said[name]["text"].replace("frimware", "firmware").split("\\n"):
            key, _, value = line.partition(": ")
            assert words[key] == value, line


# -- document 002 --------------------------------------------------------------------------------


def remaining(data):
    """The remaining length that a packet tells."""
    length = shift = 0
    for byte in data[1:]:
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return length


def test_document_002_packets_of_the_device_have_the_recorded_sizes():
    judged = 0
    for message in vectors("002_w800_jobs.json").values():
        if message["from"] != "device":
            continue
        kind, topic = message.get("packet", "PUBLISH"), message.get("topic")
        id = message.get("packet_id", 1).to_bytes(2, "big")
        if kind == "PUBLISH":
            made = packet(PUBLISH | message["qos"] << 1, text(topic), id, message["payload"])
        elif kind == "SUBSCRIBE":
            made = packet(0x82, id, text(topic), b"\x01")
        elif kind == "PUBACK":
            made = packet(0x40, id)
        elif kind == "PINGREQ":
            made = packet(0xC0)
        else:
            continue  # CONNECT, whose user name the log does not show
        assert remaining(made) == message["remaining_length"], message["name"]
        judged += 1
    assert judged == 6, judged


def test_document_002_notice_of_nothing_is_no_job_and_no_error():
    said = vectors("002_w800_jobs.json")
    link = Link()
    jobs = AWSJobs(link, "wm_demo_1")
    run(link.subscribe(said["nothing"]["topic"], jobs._on_notify_next, 1))
    payload = b'{"timestamp":1739152141}'
    assert len(payload) == said["nothing"]["payload_bytes"]
    link.bring(said["nothing"]["topic"], payload)
    assert jobs._heard is None


# -- document 003 --------------------------------------------------------------------------------


def test_document_003_pending_jobs_are_listed():
    said = vectors("003_jobs.json")
    cloud = Recorded(said, get="pending")
    link = Link(cloud)
    assert run(pending_jobs(link, "deviceID")) == [("test_job", 1, "QUEUED")]
    ((topic, request),) = cloud.sent
    assert topic == said["get"]["topic"]
    assert list(request) == list(json.loads(said["get"]["payload"])) == ["clientToken"]


def test_document_003_next_job_is_described():
    said = vectors("003_jobs.json")
    jobs, link, cloud = started(said, "deviceID", "next", "described")
    job = run(jobs.next_job(1_000))
    assert (job.id, job.number, job.version, job.queued) == ("test_job2", 1, 1, True)
    assert job.document == json.loads(said["custom"]["payload"])
    execution = run(describe_job(link, jobs, "$next", True, 1))
    assert execution == json.loads(said["described"]["payload"])["execution"]
    for key in cloud.sent[-1][1]:
        assert '"%s"' % key in said["next"]["text"], key


def test_document_003_job_is_started_with_fields_that_it_names():
    said = vectors("003_jobs.json")
    cloud = Recorded(said, start="started")
    link = Link(cloud)
    jobs = AWSJobs(link, "deviceID", settings={"step_timeout_min": 10})
    run(link.subscribe("$aws/things/deviceID/jobs/start-next/+", jobs._on_answer))
    (queued, _, _) = started(said, "deviceID", "next", "described")
    job = run(jobs.accept(run(queued.next_job(1_000))))
    assert (job.id, job.version, job.queued) == ("test_job", 2, False)
    assert not job.trial  # {"string": "job-execution-state"} tells of none
    ((topic, request),) = cloud.sent
    assert topic == said["start"]["topic"]
    for key in request:
        assert '"%s"' % key in said["start"]["text"], key
    assert sorted(request) == ["clientToken", "statusDetails", "stepTimeoutInMinutes"]


def test_document_003_update_is_told_with_fields_that_it_names():
    said = vectors("003_jobs.json")
    told = []
    link = Link(obliging(told))
    jobs = AWSJobs(link, "deviceID", settings={"step_timeout_min": 10})
    run(link.subscribe("$aws/things/deviceID/jobs/+/update/+", jobs._on_answer))
    (queued, _, _) = started(said, "deviceID", "next", "described")
    job = run(queued.next_job(1_000))
    job.id = "jobID"
    run(jobs.report(job, "downloading", INFO))
    ((topic, request),) = told
    assert topic == said["update"]["topic"]
    for key in request:
        assert '"%s"' % key in said["update"]["text"], key
    assert len(request) == 7  # all eight but includeJobDocument: the device has it
