"""Which configuration a start uses, and what is kept of it; over power cuts at any operation."""

import gc
import json
import os

from doubles import raised, run
from medium import Board, PowerCut, fill, read, write

from sluice import config, lastgood, lastlink, log
from sluice.errors import Fail, Retry
from sluice.net import connect

HEAP = "4m"
FILES = [b"an old CA", b"certificate", b"private key"]
CREDENTIALS = {"ca": FILES[0], "c": FILES[1], "k": FILES[2]}
OLD = {
    "thing": "t", "endpoint": "old", "ca": "/ca", "certificate": "c", "private_key": "./k",
    "wifi": {"ssid": "s", "password": "sesame", "hidden": "no"}, "ntp": ["a"], "signers": ["/s1"],
}  # fmt: skip


def changed(**changes):
    values = dict(OLD)
    values.update(changes)
    return {key: value for key, value in values.items() if value is not None}


def put(values, **credentials):
    """Give the board that configuration, as bytes or as an object, and those files."""
    write("/config.json", values if isinstance(values, bytes) else json.dumps(values).encode())
    for name, data in credentials.items():
        write("/" + name, data)


def board(values=OLD, linked=True):
    """A board whose file system is mounted by `with`; it has linked with these values."""
    gc.collect()
    made = Board(40, {})
    with made:
        put(values, **CREDENTIALS)
        if linked:
            link()
    return made


def contents(way):
    """Of the credentials."""
    found = []
    for name in way["files"]:
        path, at, size = (name, 0, -1) if isinstance(name, str) else name
        found.append(read(path)[at:][:size] if size >= 0 else read(path))
    return found


def load(*words):
    log.to(lambda line: None)
    try:
        return lastgood.load(*words)
    finally:
        log.to(print)


def link(*words):
    """Start, and have the first way link."""
    settings = load(*words)
    if settings["ways"]["due"]:
        log.to(lambda line: None)
        lastlink.linked(settings["ways"])
        log.to(print)
    return settings


def endpoints(*words):
    return [way["endpoint"] for way in load(*words)["ways"]["turns"]]


def test_first_configuration_is_the_only_way_and_is_kept_once_it_linked():
    with board(linked=False):
        assert endpoints() == ["old"]
        assert "lastgood.link" not in os.listdir("/")
        assert link()["ways"]["why"] is None
        kept, known = lastlink.load()
        assert kept["endpoint"] == "old" and kept["wifi"] == OLD["wifi"]
        assert contents(kept) == FILES
        assert known == lastlink.identity(config.linking(OLD))


def test_same_configuration_is_not_written_again():
    made = board()
    with made:
        for _ in range(3):
            settings = load()
            assert not settings["ways"]["due"] and settings["ways"]["why"] is None
            assert [way["endpoint"] for way in settings["ways"]["turns"]] == ["old"]
        made.chip.erases = before = 0
        operations = made.chip.operations
        link()
        assert made.chip.operations == operations and made.chip.erases == before


# What a person, a tool or a dying flash may make of the linking part. None: the file is removed.
WHOLE = json.dumps(OLD).encode()
BROKEN = [None, b"", b"[]", b"null", b"5", b"\xff\xfe\xfd", b"\0" * 300, b"{}", b" " * 20_000]
BROKEN += [WHOLE[:size] for size in (1, 2, len(WHOLE) // 2, len(WHOLE) - 1)]
BROKEN += [b"[" * 5_000, WHOLE + b"}", WHOLE.replace(b'"thing"', b"thing")]
MISSTATED = [
    {key: value}
    for key in ("thing", "endpoint", "ca", "certificate", "private_key")
    for value in (None, 5, "", "x" * 256)
]
MISSTATED += [
    {"thing": "a/b"}, {"port": "8883"}, {"port": 0}, {"port": 65_536}, {"wifi": "s"},
    {"wifi": {"ssid": 5}}, {"wifi": []}, {"ntp": "pool"}, {"ntp": [5]}, {"ca": "/gone"},
    {"certificate": "/gone"}, {"private_key": "/gone"}, {"ca": "/"}, {"private_key": "/a/b"},
]  # fmt: skip


def test_configuration_that_cannot_be_used_is_replaced_by_the_way_that_linked_last():
    made = board()
    with made:
        for broken in BROKEN + [changed(**wrong) for wrong in MISSTATED]:
            if broken is None:
                os.remove("/config.json")
            else:
                put(broken)
            settings = link()
            turns = settings["ways"]["turns"]
            assert [way["endpoint"] for way in turns] == ["old"], broken
            assert settings["ways"]["why"] and settings["thing"] == "t", broken
            assert contents(turns[0]) == FILES, broken
            assert settings["signers"] == ["/s1"], broken
            if broken is not None and not isinstance(broken, bytes):
                assert json.loads(read("/config.json")) == broken
        put(OLD)
        assert not load()["ways"]["why"]


def test_configuration_that_cannot_be_used_says_why_where_nothing_was_kept():
    with board(linked=False):
        for broken in BROKEN[1:] + [changed(**wrong) for wrong in MISSTATED]:
            put(broken)
            assert str(raised(Fail, load)).split()[0] in (
                "/config.json", "config", "config:", "cannot"
            ), broken  # fmt: skip
        os.remove("/config.json")
        assert str(raised(Fail, load)) == "no /config.json"


def test_credential_that_is_missing_or_too_large_is_replaced_by_its_copy():
    for name in CREDENTIALS:
        with board():
            os.remove("/" + name)
            path = {"ca": "/ca", "k": "./k"}.get(name, name)
            assert load()["ways"]["why"] == "cannot read %s [Errno 2] ENOENT" % path
            write("/" + name, b"x" * 16_385)
            settings = load()
            assert settings["ways"]["why"] == "cannot read %s too large" % path
            [way] = settings["ways"]["turns"]
            assert contents(way) == FILES


def test_changed_way_is_tried_first_and_the_kept_one_after_it():
    for changes in ({"endpoint": "new"}, {"port": 1}, {"wifi": {"ssid": "s"}}):
        with board():
            put(changed(**changes))
            settings = load()
            newest, kept = settings["ways"]["turns"]
            for key, value in changes.items():
                assert newest[key] == value != kept[key]
            assert kept["kept"] and not newest["kept"] and settings["ways"]["due"]
    for name in CREDENTIALS:
        with board():
            put(OLD, **{name: b"another"})
            newest, kept = load()["ways"]["turns"]
            assert contents(kept) == FILES
            assert b"another" in contents(newest)


def test_way_that_was_passed_over_comes_second_until_the_configuration_changes():
    with board():
        put(changed(endpoint="new"))
        line, settings = Line(), load()
        quietly(lastlink.turn, line, settings["ways"])
        quietly(lastlink.linked, settings["ways"])
        assert endpoints() == ["old", "new"]
        assert load()["ways"]["why"] == "/config.json did not link"
        assert not load()["ways"]["due"]
        put(changed(endpoint="newer"))
        assert endpoints() == ["newer", "old"]
        put(changed(endpoint="new"), ca=b"mended")
        assert endpoints() == ["new", "old"]
        link()
        assert endpoints() == ["new"] and lastlink.noted(lastlink.PASSED) == b""


def test_passed_way_that_links_after_all_is_kept_and_no_longer_passed_over():
    with board():
        put(changed(endpoint="new"))
        settings = load()["ways"]
        for _ in range(2):
            quietly(lastlink.turn, Line(), settings)
            quietly(lastlink.linked, settings)
        assert settings["turns"][1:] == []
        assert endpoints() == ["new"] and not load()["ways"]["due"]


class Line:
    """What a way does to a link."""

    context = "tls"
    linked = True

    def disconnect(self):
        self.linked = False
        raise Retry("not linked")


def quietly(function, *words):
    log.to(lambda line: None)
    try:
        return function(*words)
    finally:
        log.to(print)


# -- trust ---------------------------------------------------------------------------------------


def test_trust_is_the_newest_that_was_readable_and_not_what_linked():
    """An attacker who jams the newer way, and cuts the power when they like."""
    with board(changed(allow_unsigned=True, signers=["/revoked"])):
        put(changed(endpoint="new", signers=["/s2"], allow_unsigned=False))
        for _ in range(2):
            settings = load()["ways"]
            if not settings["passed"]:
                quietly(lastlink.turn, Line(), settings)
            quietly(lastlink.linked, settings)
            found = load()
            assert found["ways"]["turns"][0]["endpoint"] == "old"
            assert (found["signers"], found["allow_unsigned"]) == (["/s2"], False)
        put(b"{")
        found = link()
        assert found["ways"]["turns"][0]["endpoint"] == "old"
        assert (found["signers"], found["allow_unsigned"]) == (["/s2"], False)
        put(changed(thing=None, signers=["/s3"]))
        assert load()["signers"] == ["/s3"]
        put(b"")
        assert load()["signers"] == ["/s3"]


def test_trust_that_is_taken_back_in_a_file_that_lacks_something_is_taken_back():
    with board(changed(allow_unsigned=True, signers=["/s1"], block=512)):
        put(changed(endpoint=None, signers=None))
        found = load()
        assert (found["allow_unsigned"], found["signers"]) == (False, ["/s1"])
        assert found["block"] == 512
        put(changed(endpoint=None, signers=[]))
        assert load()["signers"] == []


def test_trust_that_cannot_be_noted_or_is_damaged_is_none_and_never_an_older_one():
    for damage in (b"", b"x", b"0" * 64 + b"{}", b"5"):
        with board(changed(allow_unsigned=True)):
            write(lastlink.REST, damage)
            put(b"{")
            found = load()
            assert (found["signers"], found["allow_unsigned"]) == ([], False)
    with board(changed(allow_unsigned=True)):
        put(changed(allow_unsigned=False, signers=["/s%d" % at * 40 for at in range(6)]))
        fill()
        assert load()["allow_unsigned"] is False
        put(b"")
        assert load()["allow_unsigned"] is False


def test_paths_of_credentials_and_signers_stay_the_agents_own_whatever_is_broken():
    with board(changed(http_ca="/h")):
        own = load()["own"]
        assert own == ["/ca", "c", "./k", "/h", "/s1"]
        for broken in (b"", changed(ca=5, http_ca="/h")):
            put(broken)
            assert load()["own"] == own


def test_keys_that_are_not_ours_are_left_to_the_application_and_are_not_copied():
    with board():
        put(changed(token="sesame", own="x", ways=[]))
        found = load()
        assert found["token"] == "sesame" and found["own"] != "x" and found["ways"]["turns"]
        assert b"sesame" not in read(lastlink.REST)


def test_other_keys_that_are_misstated_do_not_keep_a_board_from_its_cloud():
    with board():
        put(changed(block=300, log="verbose", watchdog_s=-1, signers="/s9"))
        found = load()
        assert found["ways"]["why"] is None
        assert (found["block"], found["log"], found["signers"]) == (4096, "I", ["/s1"])


# -- a trial -------------------------------------------------------------------------------------


def test_trial_goes_the_way_of_its_predecessor_only_and_writes_nothing():
    with board():
        before = os.listdir("/")
        assert endpoints(True) == ["old"]
        put(changed(endpoint="new", signers=["/s2"]))
        assert endpoints(True) == ["new"]
        assert load(True)["signers"] == ["/s2"]
        put(b"{")
        assert "is not JSON" in str(raised(Fail, load, True))
        os.remove("/config.json")
        raised(Fail, load, True)
        put(changed(thing="other"))
        assert endpoints(True) == ["old"] and load(True)["thing"] == "other"
        assert sorted(os.listdir("/")) == sorted(before)
        put(b"")
        assert load()["signers"] == ["/s1"]


def test_trial_on_a_board_that_had_passed_its_configuration_over_goes_the_kept_way():
    for broken in (b"{", changed(endpoint="new"), changed(ca="/gone")):
        with board():
            put(broken)
            settings = load()["ways"]
            if settings["turns"][1:]:
                quietly(lastlink.turn, Line(), settings)
            quietly(lastlink.linked, settings)
            assert endpoints(True) == ["old"]
            put(b"[")
            raised(Fail, load, True)


# -- another thing -------------------------------------------------------------------------------


def test_board_given_to_another_thing_never_speaks_for_the_old_one():
    for values in (changed(thing="u"), changed(thing="u", endpoint=None)):
        with board():
            put(values)
            try:
                assert endpoints() == ["old"]
            except Fail:
                assert "endpoint" not in values
            assert "lastgood.link" not in os.listdir("/")
            put(b"")
            raised(Fail, load)


def test_look_changes_nothing():
    with board():
        put(changed(thing="u", signers=["/s2"]))
        assert load(False, False)["thing"] == "u"
        put(b"")
        found = load()
        assert found["thing"] == "t" and found["signers"] == ["/s1"]


# -- time servers --------------------------------------------------------------------------------


def test_time_servers_that_were_never_asked_do_not_displace_those_that_were():
    """A link says nothing of them where the clock was set: with the next power cut it is not."""
    with board():
        put(changed(ntp=["wrong", "wronger"]))
        [way] = link()["ways"]["turns"]
        assert way["ntp"] == ["wrong", "a", "wronger"]
        assert not load()["ways"]["due"]
        put(b"{")
        assert load()["ways"]["turns"][0]["ntp"] == ["wrong", "a", "wronger"]
        put(changed(ntp=[]))
        assert load()["ways"]["turns"][0]["ntp"] == ["wrong", "a", "wronger"]
        put(changed(ntp=["1", "2", "3", "4"], endpoint="new"))
        for _ in range(2):
            assert all(len(way["ntp"]) == 7 for way in load()["ways"]["turns"])
            assert "a" in link()["ways"]["turns"][0]["ntp"][:4]


# -- damage and power cuts -----------------------------------------------------------------------


def test_kept_way_that_is_damaged_anywhere_is_as_good_as_none():
    with board():
        whole = read(lastlink.PATH)
        for at in range(0, len(whole), 3):
            write(lastlink.PATH, whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :])
            assert quietly(lastlink.load) == (None, None), at
        for size in (0, 1, 64, 65, 66, 100, len(whole) - 1):
            write(lastlink.PATH, whole[:size])
            assert quietly(lastlink.load) == (None, None), size
        write(lastlink.PATH, whole + b"x")
        assert quietly(lastlink.load) == (None, None)
        assert endpoints() == ["old"]
        link()
        assert read(lastlink.PATH) == whole


def test_kept_way_with_a_right_digest_and_strange_members_is_as_good_as_none():
    import hashlib
    from binascii import hexlify

    with board():
        good = ["t", "e", 8883, ["ssid", "s"], ["a"], [9, 11, 11]]
        tail = b"".join(CREDENTIALS.values())
        for at in range(len(good)):
            for odd in (None, 5, -1, 1 << 40, "x" * 300, [], {}, [[]], [None] * 3, ["s"], True):
                found = list(good)
                found[at] = odd
                for body in (json.dumps(found), json.dumps(odd), "[" * 4_000):
                    body = body.encode() + b"\n" + tail
                    stamp = hexlify(hashlib.sha256(body).digest()) + b"\n"
                    write(lastlink.PATH, stamp + body)
                    kept, _ = quietly(lastlink.load)
                    if kept:
                        assert config.is_thing(kept["thing"]) and len(kept["ntp"]) <= 8
                        assert len(kept["files"]) == 3, found


def test_power_cut_at_any_operation_leaves_a_board_that_links():
    """The old way or the new one, whole; and never an older trust than what was noted."""
    operations = 0
    while True:
        made = board(changed(signers=["/s1"]))
        with made:
            put(changed(endpoint="new", signers=["/s2"]), ca=b"a new CA", k=b"a new key")
            made.cut_after(operations)
            try:
                link()
                cut = False
            except PowerCut:
                cut = True
        made.cut_after(None)
        with made:
            kept, _ = lastlink.load()
            old, new = [FILES, [b"a new CA", b"certificate", b"a new key"]]
            assert contents(kept) == (old if kept["endpoint"] == "old" else new)
            assert kept["endpoint"] in ("old", "new")
            assert link()["signers"] == ["/s2"]
            assert endpoints() == ["new"]
            put(b"")
            assert load()["signers"] == ["/s2"] and endpoints() == ["new"]
        if not cut:
            assert operations > 4, operations
            break
        operations += 1


def test_full_file_system_does_not_keep_a_board_from_its_cloud():
    with board(linked=False):
        fill()
        assert endpoints() == ["old"]
        link()
        assert endpoints() == ["old"]


def test_credential_that_changed_since_it_linked_is_not_kept():
    with board():
        put(changed(endpoint="new"))
        settings = load()["ways"]
        write("/k", b"another key")
        quietly(lastlink.linked, settings)
        kept, _ = lastlink.load()
        assert kept["endpoint"] == "old" and contents(kept)[2] == b"private key"


# -- turns ---------------------------------------------------------------------------------------


def test_kept_way_has_longer_turns_with_every_round_to_15_minutes():
    with board():
        put(changed(endpoint="new"))
        found = load()["ways"]
        seen = []
        for _ in range(6):
            assert lastlink.limit_ms(found, 100_000) == 100_000
            quietly(lastlink.turn, Line(), found)
            seen.append(lastlink.limit_ms(found, 100_000))
            assert found["why"] == "it did not link"
            quietly(lastlink.turn, Line(), found)
            assert found["why"] is None
        assert seen == [200_000, 400_000, 800_000, 900_000, 900_000, 900_000]
        found["turns"].pop()
        assert lastlink.limit_ms(found, 100_000) is None


def test_newer_way_is_tried_again_between_jobs_after_a_growing_time():
    class Clock:
        waited = []

        async def sleep_ms(self, ms):
            self.waited.append(ms)

    with board():
        put(changed(endpoint="new"))
        found = load()["ways"]
        quietly(lastlink.turn, Line(), found)
        busy = [False, False, True]
        line, clock = Line(), Clock()
        quietly(run, lastlink.again(line, found, clock, lambda: busy.pop(0)))
        assert clock.waited == [1_800_000, 50, 50]
        assert not line.linked and line.context is None
        assert [way["endpoint"] for way in found["turns"]] == ["new", "old"]
        for expected in (3_600_000, 7_200_000, 14_400_000, 28_800_000, 57_600_000, 57_600_000):
            quietly(lastlink.turn, Line(), found)
            quietly(run, lastlink.again(line, found, clock, lambda: True))
            assert clock.waited[-1] == expected
        quietly(lastlink.linked, found)
        line.linked = True
        quietly(run, lastlink.again(line, found, clock, lambda: True))
        assert line.linked


def test_way_whose_credentials_the_heap_cannot_hold_leaves_the_kept_one():
    """Of the kept way it may hold them later: without it the newer one is all there is."""

    def of_files(*files):
        if files[0] == heavy[0]:
            raise MemoryError
        return "tls"

    real, connect.of_files = connect.of_files, of_files
    try:
        for at in (0, 1):
            with board():
                put(changed(endpoint="new"))
                found, line = load()["ways"], Line()
                if at:
                    quietly(lastlink.turn, line, found)
                heavy = found["turns"][0]["files"]
                if at:
                    raised(MemoryError, lastlink.take, line, found)
                    assert len(found["turns"]) == 2
                else:
                    quietly(lastlink.take, line, found)
                    assert line.server == "old" and len(found["turns"]) == 1 and found["due"]
    finally:
        connect.of_files = real


def test_network_is_left_while_it_is_joined_tried_or_its_driver_raises():
    class Clock:
        now = 0

        def ticks_ms(self):
            return self.now

        def ticks_diff(self, later, earlier):
            return later - earlier

        async def sleep_ms(self, ms):
            self.now += ms

    class Station:
        def __init__(self, active, joined, error=None):
            self.on, self.joined, self.error, self.left = active, joined, error, 0

        def active(self):
            return self.on

        def isconnected(self):
            if self.error:
                raise self.error
            return self.joined

        def disconnect(self):
            self.left += 1

    for station, left, waited in (
        (Station(False, False), 0, 0),
        (Station(True, False), 1, 0),
        (Station(True, True), 1, 2_000),
        (Station(True, True, OSError(5)), 1, 0),
        (Station(True, True, RuntimeError("Wifi Unknown Error")), 1, 0),
    ):
        clock = Clock()
        quietly(run, lastlink.leave(station, clock))
        assert (station.left, clock.now) == (left, waited)
