"""Document 004 as the gateway speaks it: every status, every refusal, duplicates, power cuts."""

import json

from doubles import Clock, Link, raised, run

from sluice import log
from sluice.clouds.product import LATE, Product
from sluice.errors import Fail, Refuse, Retry

SN = "dock_sn"
PREFIX = "thing/product/%s/" % SN
MD5 = "0123456789ABCDEF" * 2
INFO = {"reason": "", "running": "1.0.0", "received": 0, "total": 0, "free": 1_000}
log.level("E")


class Cell:
    """A file that outlives the power."""

    def __init__(self):
        self.data = b""
        self.full = False

    def load(self):
        return self.data

    def save(self, data):
        if self.full:
            raise OSError(28)
        self.data = bytes(data)


class World:
    """A gateway, the platform that it talks to, and what outlives a reset."""

    def __init__(self, known=None, version="1.0.0", pid=""):
        self.clock = Clock()
        self.link = Link(self._platform, self.clock)
        self.cells = Cell(), Cell()
        self.settings = {"product_id": pid, "devices": known or {}, "order_s": 3600}
        self.version = version
        self.said = []  # (kind, message) of all that the gateway said
        self.silent = False
        self.answers = 0  # the result that events are answered with
        self.boot()

    def boot(self):
        self.link.sinks = {}
        words = self.link, SN, self.clock, self.version, self.settings
        self.product = Product(*words)
        self.product.files = self.cells
        run(self.product.start())

    def _platform(self, topic, text):
        message = json.loads(text)
        self.said.append((topic[len(PREFIX) :], message))
        if message.get("need_reply") and not self.silent:
            answer = {"tid": message["tid"], "bid": message["bid"], "method": message["method"]}
            answer["data"] = {"result": self.answers}
            return [(PREFIX + "events_reply", json.dumps(answer).encode())]
        return ()

    def order(self, *devices, bid="b1", tid="t1", **more):
        """The platform says it; the gateway has only heard it."""
        body = {"tid": tid, "bid": bid, "timestamp:": 1654070968655, "method": "ota_create"}
        body["data"] = {"devices": list(devices)}
        body.update(more)
        self.hear(json.dumps(body).encode())

    def hear(self, payload):
        self.link.bring(PREFIX + "services", payload)

    def next(self):
        """The next job; None when the gateway waits for one."""
        return run(Once(self.product).next_job())

    def begin(self, *devices, **more):
        """An order that was judged, and the first job of it that is to be done."""
        self.order(*devices, **more)
        job = self.next()
        while job.queued:
            job.read()
            job = run(self.product.accept(job))
        return job

    def report(self, job, step, reason="", **more):
        info = dict(INFO, reason=reason)
        info.update(more)
        run(self.product.report(job, step, info))

    def progress(self, job, received, total=100):
        self.product.progress(job, dict(INFO, received=received, total=total))

    def told(self, kind="events"):
        """(status, percent, step_key) of each event, or (result, status) of each reply."""
        found = []
        for name, message in self.said:
            output = message["data"]["output"]
            if name == kind == "events":
                progress = output["progress"]
                found.append((output["status"], progress["percent"], progress["step_key"]))
            elif name == kind:
                found.append((message["data"]["result"], output["status"]))
        return found

    @property
    def last(self):
        return self.said[-1][1]["data"]


class Once:
    """Asks for a job as the agent does, and stops where that would wait."""

    class Waits(Exception):
        pass

    def __init__(self, product):
        self.product = product

    async def next_job(self):
        link, product = self.product.link, self.product
        wait = link.wait

        async def stop(ready, deadline_ms):
            if deadline_ms == 99_999:
                raise Once.Waits
            return await wait(ready, deadline_ms)

        link.wait = stop
        try:
            return await product.next_job(99_999)
        except Once.Waits:
            return None
        finally:
            link.wait = wait


def device(sn=SN, kind=3, **changes):
    """An entry of an order; None takes a member away."""
    entry = {
        "sn": sn,
        "product_version": "1.00.223",
        "file_url": "https://s3.com/xxx.bin?sig=1",
        "md5": MD5,
        "file_size": 200_000,
        "file_name": "wm245_1.00.223.bin",
        "firmware_upgrade_type": kind,
    }
    entry.update(changes)
    return {key: value for key, value in entry.items() if value is not None}


# -- the conversation ----------------------------------------------------------------------------


def test_order_for_the_gateway_is_told_from_its_reply_to_ok():
    world = World()
    world.order(device())
    job = world.next()
    assert (job.id, job.number, job.queued) == ("b1", 1, True) and not world.said
    job.read()
    (file,) = job.files
    assert (job.kind, file.source, file.size) == ("image", "http_range", 200_000)
    assert (file.url, file.md5) == ("https://s3.com/xxx.bin?sig=1", MD5.lower())
    assert file.sealed and not file.signature and file.version is None
    job = run(world.product.accept(job))
    assert world.told("services_reply") == [(0, "in_progress")]
    assert run(world.product.accept(job)) is job and not job.queued
    for step in ("downloading", "applying", "trying"):
        world.report(job, step)
        if step == "downloading":
            world.progress(job, 50)
    world.report(job, "succeeded", "accepted v1.0.223")
    assert world.told() == [
        ("in_progress", 0, "download_firmware"),
        ("in_progress", 45, "download_firmware"),
        ("in_progress", 92, "upgrade_firmware"),
        ("in_progress", 96, "upgrade_firmware"),
        ("ok", 100, "upgrade_firmware"),
    ]
    assert world.next() is None


def test_messages_repeat_the_orders_ids_and_have_tids_of_their_own():
    world = World()
    job = world.begin(device())
    world.report(job, "downloading")
    world.progress(job, 1)
    world.report(job, "succeeded")
    (kind, reply), *events = world.said
    assert kind == "services_reply" and (reply["tid"], reply["bid"]) == ("t1", "b1")
    tids = set()
    for kind, event in events:
        assert kind == "events" and event["bid"] == "b1" and event["method"] == "ota_progress"
        assert len(event["tid"]) == 36 and event["tid"][14] == "4" and event["tid"][19] in "89ab"
        tids.add(event["tid"])
    assert len(tids) == len(events) == 3
    for _, message in world.said:
        assert message["gateway"] == SN
        stamp = message["timestamp"]
        assert isinstance(stamp, int) and stamp == world.clock.now_s() * 1000
    assert [event.get("need_reply") for _, event in events] == [0, 0, 1]
    assert events[0][1]["data"]["output"]["progress"]["current_step"] == 1
    assert events[2][1]["data"]["output"]["progress"]["current_step"] == 2


def test_gateway_may_have_a_serial_number_that_is_not_its_things_name():
    world = World(pid="4TAD")
    assert set(world.link.sinks) == {
        "thing/product/4TAD/services",
        "thing/product/4TAD/events_reply",
    }


def test_reply_is_to_the_attempt_that_came_last():
    world = World()
    world.order(device(), tid="t1")
    job = world.next()
    world.order(device(), tid="t2")
    assert run(world.product.still(job)) is None
    run(world.product.accept(job))
    assert [m["tid"] for kind, m in world.said if kind == "services_reply"] == ["t2"]


# -- percent -------------------------------------------------------------------------------------


def test_percent_never_goes_back_over_a_power_cut():
    world = World()
    job = world.begin(device())
    world.report(job, "downloading")
    world.progress(job, 60)
    world.boot()
    job = world.next()
    assert (job.id, job.number, job.queued) == ("b1", 1, False)
    world.report(job, "downloading")
    world.progress(job, 20)
    world.progress(job, 70)
    percents = [percent for _, percent, _ in world.told()]
    assert percents == [0, 54, 54, 54, 54, 63]
    assert world.told()[2] == ("paused", 54, "download_firmware")


def test_percent_is_shared_among_the_devices():
    world = World({"s1": "echo"})
    job = world.begin(device(), device("s1"))
    assert job.number == 1 and job.kind is None
    world.progress(job, 50)
    world.report(job, "succeeded")
    job = world.next()
    assert job.number == 2 and not job.queued
    world.progress(job, 50)
    world.report(job, "succeeded")
    percents = [percent for _, percent, _ in world.told()]
    assert percents == [0, 22, 72, 100]


# -- the statuses --------------------------------------------------------------------------------


def test_status_of_a_rolled_back_update_is_failed_and_its_percent_stays():
    world = World()
    job = world.begin(device())
    world.report(job, "applying")
    world.boot()
    world.report(world.product.pending(job), "trying")
    world.boot()
    world.report(job, "failed", "rolled back: self-test failed")
    assert world.told()[-1] == ("failed", 96, "upgrade_firmware")
    assert world.last["result"] == 312002
    assert world.last["output"]["ext"] == {
        "devices": {SN: "failed"},
        "reason": SN + ": rolled back: self-test failed",
    }


def test_status_of_a_download_that_goes_on_is_paused():
    world = World()
    job = world.begin(device())
    world.report(job, "downloading")
    run(world.product.start())  # the link, or the file's server, was lost
    assert world.next().number == 1
    assert world.told()[-1][0] == "paused"


def test_status_of_a_trial_is_not_paused():
    world = World()
    job = world.begin(device())
    world.report(job, "applying")
    world.boot()
    world.report(job, "trying")
    world.report(job, "succeeded")
    assert "paused" not in [status for status, _, _ in world.told()]


def test_status_of_another_device_is_sent_before_anything_of_it_is_known():
    world = World({"s1": "echo"})
    job = world.begin(device("s1"))
    assert world.told() == [("sent", 0, "download_firmware")]
    world.report(job, "succeeded")
    assert world.told()[-1] == ("ok", 100, "upgrade_firmware")


def test_status_of_a_job_that_was_dropped_is_canceled():
    world = World({"s1": "echo"})
    world.begin(device("s1"))
    assert world.next() is None  # the agent asks for another job, with the link in place
    assert world.told()[-1][0] == "canceled" and world.last["result"]


def test_status_of_a_late_order_is_timeout():
    world = World()
    job = world.begin(device())
    run(world.product.still(job))
    world.clock.now += 3_601_000
    assert str(raised(Fail, world.product.still, job)) == LATE
    world.report(job, "failed", LATE)
    assert world.told()[-1][0] == "timeout"


def test_status_of_an_order_that_is_late_when_it_would_go_on_is_timeout():
    world = World()
    world.begin(device())
    world.boot()
    world.clock.now += 3_601_000
    assert world.next() is None
    assert world.told()[-1][0] == "timeout"


# -- refusals ------------------------------------------------------------------------------------


def test_refused_device_that_nobody_knows():
    world = World()
    world.order(device("drone_sn", 2), device(kind=2))
    assert world.next() is None
    assert world.told("services_reply") == [(312022, "rejected")]
    assert world.told()[-1][0] == "rejected"
    ext = world.last["output"]["ext"]
    assert ext["devices"] == {"drone_sn": "rejected", SN: "canceled"}
    assert ext["reason"] == "drone_sn: unknown device"


def test_refused_device_of_a_normal_upgrade_does_not_keep_the_others():
    world = World()
    job = world.begin(device("drone_sn", 3), device())
    assert job.number == 2
    reply = world.said[0][1]["data"]
    assert (reply["result"], reply["output"]["status"]) == (0, "in_progress")
    assert reply["output"]["ext"]["devices"] == {"drone_sn": "rejected", SN: None}
    world.report(job, "succeeded")
    assert world.told()[-1][0] == "failed" and world.last["result"] == 312022
    assert world.last["output"]["ext"]["devices"] == {"drone_sn": "rejected", SN: "ok"}


def test_refused_by_the_agent_while_it_is_judged():
    world = World()
    world.order(device())
    job = world.next()
    world.report(job, "rejected", "no signature")
    assert world.told("services_reply") == [(312002, "rejected")]
    assert world.told()[-1] == ("rejected", 0, "download_firmware")
    assert world.next() is None


def test_refused_gateway_stops_a_consistency_upgrade_before_any_device_is_touched():
    world = World({"s1": "echo"})
    world.order(device(kind=2), device("s1", 2))
    first = world.next()
    assert (first.number, first.queued) == (1, True)
    second = run(world.product.accept(first))
    assert (second.number, second.queued) == (2, True) and not world.said
    world.report(second, "rejected", "image larger than the slot 9 8")
    assert world.last["output"]["ext"]["devices"] == {"s1": "canceled", SN: "rejected"}
    assert world.told("services_reply") == [(312002, "rejected")]
    assert world.next() is None


def test_failure_of_one_device_of_a_consistency_upgrade_cancels_what_has_not_begun():
    for kind, end in ((2, "canceled"), (3, None)):
        world = World({"s1": "echo"})
        job = world.begin(device(kind=kind), device("s1", kind))
        world.report(job, "failed", "no answer from it")
        assert world.product.order["ends"] == ["failed", end]
        assert (world.next() is None) == (kind == 2)


def test_refused_messages_that_make_no_sense():
    bad = (
        ({"data": []}, "data"),
        ({"data": {}}, "devices"),
        ({"data": {"devices": []}}, "devices"),
        ({"data": {"devices": [device("d%d" % n) for n in range(9)]}}, "devices"),
        ({"data": {"devices": ["x"]}}, "devices"),
        ({"data": {"devices": [device(sn=None)]}}, "sn"),
        ({"data": {"devices": [device(sn="s" * 65)]}}, "sn"),
        ({"data": {"devices": [device(sn=5)]}}, "sn"),
        ({"data": {"devices": [device(kind=None)]}}, "firmware_upgrade_type"),
        ({"data": {"devices": [device(kind=4)]}}, "firmware_upgrade_type"),
        ({"data": {"devices": [device(kind=True)]}}, "firmware_upgrade_type"),
        ({"data": {"devices": [device(product_version=7)]}}, "product_version"),
        ({"data": {"devices": [device(), device()]}}, "twice"),
    )
    for changes, words in bad:
        world = World()
        world.order(**changes)
        assert world.next() is None
        assert world.told("services_reply") == [(312012, "rejected")], changes
        assert words in world.last["output"]["ext"]["reason"], changes
        assert world.product.order is None


def test_refused_method_that_is_not_ours_is_answered_under_its_name():
    world = World()
    world.order(device(), method="fly_to_point")
    assert world.next() is None
    ((kind, message),) = world.said
    assert (kind, message["method"]) == ("services_reply", "fly_to_point")
    assert message["data"]["result"] == 312010


def test_garbage_is_not_answered():
    for payload in (b"", b"[]", b"{", b"\xff", b'{"bid":"b"}', b'{"tid":7,"bid":"b"}', b"7"):
        world = World()
        world.hear(payload)
        assert world.next() is None and not world.said, payload
    world = World()
    world.order(device(file_name="x" * 8_192))
    assert world.next() is None and not world.said


def test_order_without_a_bid_is_refused():
    world = World()
    world.order(device(), bid="")
    assert world.next() is None
    assert world.told("services_reply") == [(312012, "rejected")]


def refusal(**changes):
    world = World()
    world.order(device(**changes))
    return str(raised(Refuse, world.next().read))


def test_refused_entries_of_the_gateway():
    lacks = "job document lacks or misstates "
    assert refusal(md5=None) == lacks + "md5"
    assert refusal(md5="abcdefabcdefabcdef") == "job document is out of bounds at md5"
    assert refusal(md5="g" * 32) == lacks + "md5"
    assert refusal(file_size=None) == lacks + "file_size"
    assert refusal(file_size=0) == "job document is out of bounds at file_size"
    assert refusal(file_size=653_467_234) == "job document is out of bounds at file_size"
    assert refusal(file_url="ftp://x/y") == "not an address of a file at file_url"
    assert (
        refusal(kind=2, product_version="") == "job document is out of bounds at product_version"
    )


def test_order_that_there_is_no_room_for_is_refused_and_the_next_one_is_taken():
    for cell in range(2):
        world = World()
        world.cells[cell].full = True
        world.order(device())
        assert world.next() is None
        assert world.told("services_reply") == [(312002, "rejected")]
        assert "28" in world.last["output"]["ext"]["reason"]
        assert world.product.order is None
        world.cells[cell].full = False
        job = world.begin(device(), bid="b2")
        world.report(job, "succeeded")
        assert world.told()[-1] == ("ok", 100, "upgrade_firmware")


def test_order_goes_on_where_the_file_system_fills_up_meanwhile():
    world = World()
    job = world.begin(device())
    world.cells[0].full = True
    world.report(job, "downloading")
    world.progress(job, 60)
    world.report(job, "succeeded")
    assert [status for status, *_ in world.told()] == ["in_progress", "in_progress", "ok"]
    assert world.next() is None
    world.cells[0].full = False
    world.boot()  # what was not saved is found out again, from the agent's journal
    assert world.next().id == "b1"


# -- versions ------------------------------------------------------------------------------------


def test_consistency_upgrade_wants_the_version_and_is_content_with_it():
    world = World()
    job = world.begin(device(kind=2))
    job.read()
    assert job.files[0].version == "1.00.223"
    world = World(version="1.0.223")
    world.order(device(kind=2))
    assert world.next() is None
    assert world.told("services_reply") == [(0, "ok")]
    assert world.told() == [("ok", 100, "upgrade_firmware")]


def test_normal_upgrade_to_the_version_that_runs_is_left_to_the_policy():
    world = World(version="1.0.223")
    world.order(device(kind=3))
    assert world.next().queued


def test_entry_without_a_file_is_for_a_gateway_that_runs_the_version():
    nothing = {"file_url": None, "md5": None, "file_size": None, "file_name": None}
    world = World(version="1.0.223")
    world.order(device(**nothing))
    assert world.next() is None and world.told()[-1][0] == "ok"
    world = World()
    world.order(device(**nothing))
    assert world.next() is None and world.told()[-1][0] == "rejected"
    assert world.last["result"] == 312012


# -- again, meanwhile, and afterwards ------------------------------------------------------------


def test_order_said_again_while_it_is_carried_out_is_answered_and_runs_once():
    world = World()
    job = world.begin(device())
    world.order(device(), tid="t2")
    run(world.product.still(job))
    assert world.told("services_reply") == [(0, "in_progress")] * 2
    assert world.said[-1][1]["tid"] == "t2"
    world.report(job, "succeeded")
    assert world.next() is None


def test_order_said_again_after_its_end_is_answered_with_that():
    world = World()
    job = world.begin(device())
    world.report(job, "failed", "wrong chip 9")
    world.boot()
    world.order(device(), tid="t3")
    assert world.next() is None
    assert world.told("services_reply")[-1] == (312002, "failed")
    assert world.said[-1][1]["tid"] == "t3"


def test_another_order_meanwhile_is_rejected_and_changes_nothing():
    world = World()
    job = world.begin(device())
    world.order(device(), bid="b2", tid="t9")
    run(world.product.still(job))
    kind, message = world.said[-1]
    assert (kind, message["tid"], message["bid"]) == ("services_reply", "t9", "b2")
    assert message["data"]["result"] == 312014
    assert world.product.order["bid"] == "b1"


def test_another_order_afterwards_is_taken():
    world = World()
    world.report(world.begin(device()), "succeeded")
    job = world.begin(device(), bid="b2")
    assert job.id == "b2"


def test_outcome_is_told_until_the_platform_answers():
    world = World()
    job = world.begin(device())
    world.silent = True
    assert "no answer" in str(raised(Retry, world.product.report, job, "succeeded", dict(INFO)))
    assert str(raised(Retry, world.product.report, job, "succeeded", dict(INFO)))
    world.boot()
    world.silent = False
    world.report(job, "succeeded")
    assert [status for status, _, _ in world.told()] == ["ok"] * 3
    assert world.next() is None and len(world.told()) == 3


def test_outcome_of_which_only_the_order_knows_is_told_after_a_power_cut():
    world = World()
    world.begin(device())
    world.clock.now += 3_601_000
    world.boot()
    world.silent = True
    raised(Retry, Once(world.product).next_job)
    world.boot()
    world.silent = False
    assert world.next() is None
    assert [status for status, _, _ in world.told()] == ["timeout"] * 2


def test_outcome_is_left_when_the_platform_does_not_know_the_order():
    world = World()
    job = world.begin(device())
    world.answers = 312012
    world.report(job, "succeeded")
    assert world.product.order["told"]


def test_outcome_that_is_never_answered_does_not_keep_another_order():
    world = World()
    job = world.begin(device())
    world.silent = True
    raised(Retry, world.product.report, job, "succeeded", dict(INFO))
    world.order(device(), bid="b2")
    world.report(job, "succeeded")
    assert world.next().id == "b2"


def test_outcome_of_a_job_whose_order_is_lost_is_told_all_the_same():
    world = World()
    job = world.begin(device())
    world.cells[0].data = b'{"bid"'
    world.boot()
    world.report(world.product.pending(job), "succeeded")
    assert world.told()[-1] == ("ok", 100, "upgrade_firmware")
    assert world.said[-1][1]["bid"] == "b1"


def test_order_cut_off_before_it_was_judged_is_judged_after_the_reset():
    world = World()
    world.order(device())
    assert world.next().queued
    world.boot()
    assert world.next().queued and not world.said


def test_order_whose_devices_are_lost_fails():
    world = World()
    world.begin(device())
    world.cells[1].data = b""
    world.boot()
    assert world.next() is None
    assert world.told()[-1][0] == "failed"


STRANGE = (None, True, -7, 1.5, "x" * 300, [], [None], [[]], {}, {"a": 1})


def test_order_of_strange_members_is_none_and_the_next_one_is_taken():
    order = {
        "bid": "b0", "tid": "t0", "until": 1_700_009_999, "sns": [SN], "types": [3],
        "ends": [None], "whys": [""], "judged": 1, "accepted": True, "begun": 0, "percent": 5,
        "applied": False, "status": None, "result": 0, "told": False,
    }  # fmt: skip
    legal = (("tid", None), ("accepted", True), ("applied", True), ("ends", [None]),
             ("status", None))  # fmt: skip
    for key in order:
        for value in STRANGE:
            world = World()
            world.cells[0].data = json.dumps(dict(order, **{key: value})).encode()
            world.boot()
            if (key, value) in legal and type(value) in (type(order[key]), type(None)):
                assert world.product.order["bid"] == "b0"
                continue
            assert world.product.order is None, (key, value)
            world.order(device())
            assert world.next(), (key, value)


def test_order_whose_entries_are_strange_or_of_another_order_fails():
    for changed in ({"bid": "b2"}, {"devices": None}, {"devices": {}}, {"devices": [5]},
                    {"devices": [{}]}, {"devices": [dict(device(), sn=5)]}):  # fmt: skip
        world = World()
        world.begin(device())
        kept = json.loads(world.cells[1].data)
        world.cells[1].data = json.dumps(dict(kept, **changed)).encode()
        world.boot()
        world.next()
        assert world.last["output"]["status"] == "failed", changed
        assert "unreadable" in world.last["output"]["ext"]["reason"]


def test_order_that_the_heap_has_no_room_for_is_none():
    world = World()
    world.begin(device())
    world.cells[0].load = no_room
    world.boot()
    assert world.product.order is None


def no_room():
    raise MemoryError
