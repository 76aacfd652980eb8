"""The journal: whatever moment the power fails, one true record is there."""

import os
from binascii import hexlify

from doubles import raised, recorded

from sluice import journal
from sluice.job import Job
from sluice.journal import ACTIVATED, DOWNLOADING, IDLE, OWING, File, Journal

DIFFERS = True  # LittleFS

JOB = Job("AFR_OTA-1", 1, stamp=1_700_000_000)


class Cut(BaseException):
    """The power failed."""


class Cell:
    """A cell that keeps what was written, up to `cut` bytes once that is set."""

    def __init__(self, data=b""):
        self.data = data
        self.cut = None
        self.keeps = False  # what the new bytes do not cover stays: written in place

    def load(self):
        return self.data

    def save(self, data):
        if self.cut is None:
            self.data = data
            return
        old = self.data[self.cut :] if self.keeps else b""
        self.data = data[: self.cut] + old
        raise Cut


def cells():
    return Cell(), Cell()


def again(pair):
    """The journal as the next boot reads it."""
    return Journal((Cell(pair[0].data), Cell(pair[1].data)))


def begun(pair):
    journal = Journal(pair)
    journal.begin(JOB, "1024-abcd", "ota_1", "1.0.0")
    return journal


def test_journal_of_empty_cells_is_idle_and_about_nothing():
    journal = Journal(cells())
    assert journal.phase == IDLE and journal["job"] is None and journal.written == b""
    assert not journal.about(JOB) and not journal.about(Job("", 0))


def test_journal_is_kept_where_the_board_says():
    class Board:
        pass

    two = journal.cells(Board)
    assert [type(cell) for cell in two] == [File, File] and two[0].load() == b""
    Board.cells = lambda: (Cell(b"of the board"), Cell())
    assert [cell.load() for cell in journal.cells(Board)] == [b"of the board", b""]


def test_journal_record_outlives_a_reset():
    pair = cells()
    journal = begun(pair)
    journal.write(written=bytearray(b"\xff\x01"))
    for seen in (journal, again(pair)):
        assert seen.phase == DOWNLOADING and seen.about(JOB)
        assert seen["image"] == "1024-abcd" and seen["slot"] == "ota_1"
        assert seen["version"] == "1.0.0" and seen.written == b"\xff\x01"


def test_journal_turns_between_its_cells():
    pair = cells()
    journal = begun(pair)
    for count in range(2, 12):
        before = [cell.data for cell in pair]
        journal.write(written=bytes([count]))
        changed = [cell.data != data for cell, data in zip(pair, before)]
        assert sorted(changed) == [False, True] and changed[count & 1]
        assert again(pair).written == bytes([count])


def test_journal_save_cut_at_any_byte_leaves_the_old_record_or_the_new():
    for keeps in (False, True):
        for turn in (0, 1):
            size, cut = 1, 0
            while cut <= size:
                pair = cells()
                journal = begun(pair)
                for number in range(2 + turn):
                    journal.write(written=bytes([number]))
                old = journal.written
                for cell in pair:
                    cell.cut, cell.keeps = cut, keeps
                raised(Cut, journal.owe, "failed", "no space")
                size = len(b"%08x") + 300
                seen = again(pair)
                if seen.phase == OWING:
                    assert seen["reason"] == "no space" and seen["job"] == JOB.id
                else:
                    assert seen.phase == DOWNLOADING and seen.written == old, (keeps, turn, cut)
                for cell in pair:
                    cell.cut = None
                seen._cells = pair
                seen.write(phase=ACTIVATED)
                assert again(pair).phase == ACTIVATED, (keeps, turn, cut)
                cut += 1


def test_journal_torn_in_the_newer_cell_keeps_the_older():
    pair = cells()
    journal = begun(pair)
    journal.write(phase=ACTIVATED)
    newer = pair[0] if b"activated" in pair[0].data else pair[1]
    for spoiled in (b"", b"x", newer.data[:-1], newer.data + b" ", b"00000000" + newer.data[8:],
                    newer.data.replace(b"activated", b"activat3d"), b"\xff" * 4_096):  # fmt: skip
        good, newer.data = newer.data, spoiled
        assert again(pair).phase == DOWNLOADING
        newer.data = good
    assert again(pair).phase == ACTIVATED


def test_journal_torn_in_both_cells_starts_anew():
    pair = cells()
    begun(pair).write(phase=ACTIVATED)
    for cell in pair:
        cell.data = cell.data[:-3]
    journal = Journal(pair)
    assert journal.phase == IDLE and not journal.about(JOB)
    journal.begin(JOB, "1-a", "ota_0", "1")
    assert again(pair).about(JOB)


def test_journal_record_of_the_wrong_shape_is_none():
    from binascii import crc32

    for body in (b"[]", b"1", b"{}", b'{"seq":"1","phase":"idle"}', b'{"seq":9,"phase":"dancing"}',
                 b'{"seq":9}', b'{"phase":"owing"}', b"null", b"{", b""):  # fmt: skip
        data = b"%08x" % crc32(body) + body
        assert Journal((Cell(data), Cell())).phase == IDLE, body


SOUND = {
    "seq": 9, "phase": "owing", "job": "x", "number": 1, "stamp": 1, "step": "failed",
    "reason": "r", "slot": "ota_1", "image": "9-b", "next": "ota_1", "version": "1.0.0",
    "home": "ota_0", "starts": ["ota_1", 2], "runs": 1, "files": 1, "written": "ff",
}  # fmt: skip
STRANGE = (True, -1, 1.5, 1 << 70, [], ["failed"], {}, {"a": 1}, "zzz" * 100, [[]], [1, 2])


def held(members, kind="job"):
    """The journal of one cell that holds these."""
    return Journal((Cell(recorded(members)), Cell()), kind)


def test_journal_record_with_a_strange_member_is_none():
    assert held(SOUND)["starts"] == ["ota_1", 2] and held(SOUND).phase == OWING
    for key in SOUND:
        for value in STRANGE:
            journal = held(dict(SOUND, **{key: value}))
            if key == "written":
                assert journal.phase == OWING and journal.written == b"", value
            else:
                assert journal.phase == IDLE and journal["job"] is None, (key, value)
    for step in ("zzz", "", "accepted", "SUCCEEDED"):
        assert held(dict(SOUND, step=step)).phase == IDLE
    for id in ("", "a/b", "+", "#", "a\0"):
        assert held(dict(SOUND, job=id)).phase == IDLE, "it becomes part of a topic"
    for starts in (["ota_1"], ["ota_1", "2"], ["ota_1", True], [2, "ota_1"], ["a", 1, 1]):
        assert held(dict(SOUND, starts=starts)).phase == IDLE


def test_journal_record_that_lacks_whose_it_is_speaks_of_no_job():
    for key in ("job", "number", "stamp"):
        for lacking in (dict(SOUND, **{key: None}), {k: v for k, v in SOUND.items() if k != key}):
            assert held(lacking).phase == IDLE
            assert held(dict(lacking, phase="idle"))["reason"] == "r"


def test_journal_record_of_a_firmware_to_come_is_read_without_what_is_new():
    journal = held(dict(SOUND, tomorrow=["x"]))
    assert journal.phase == OWING and journal["tomorrow"] is None


def test_journal_of_a_cell_that_is_too_large_is_idle_and_it_is_not_read_whole():
    padded = dict(SOUND, tomorrow="x" * 30_000)
    assert held(padded).phase == IDLE
    path = "/tmp/sluice-journal-" + hexlify(os.urandom(8)).decode()
    try:
        with open(path, "wb") as file:
            file.write(recorded(padded))
        assert len(File(path).load()) == 4_097 and len(File(path, 512).load()) == 513
        assert Journal((File(path), Cell())).phase == IDLE
    finally:
        os.remove(path)


class Full(Cell):
    """A cell that the heap has no room for."""

    def load(self):
        raise MemoryError


def test_journal_that_the_heap_has_no_room_for_is_none_where_it_is_read_at_a_start():
    assert Journal((Full(), Cell(recorded(SOUND)))).phase == OWING
    assert Journal((Full(), Full())).phase == IDLE
    raised(MemoryError, Journal, (Full(), Cell()), "files")


def test_journal_strange_in_one_cell_keeps_the_other():
    strange = recorded(dict(SOUND, seq=10, step="zzz"))
    pair = Cell(strange), Cell(recorded(SOUND))
    journal = Journal(pair)
    assert journal.phase == OWING
    journal.mark_reported()
    assert again(pair).phase == IDLE and again(pair)["job"] == "x"


def test_journal_strange_in_both_cells_is_not_taken_up_again_by_another_firmware():
    for odd in (False, True):
        strange = [Cell(recorded(dict(SOUND, seq=number, step="zzz"))) for number in (90, 91)]
        pair = tuple(reversed(strange)) if odd else tuple(strange)
        Journal(pair).begin(JOB, "1-a", "ota_0", "1")
        assert again(pair).about(JOB)
        assert sorted(len(cell.data) > 0 for cell in pair) == [False, True]


def test_journal_number_that_is_the_last_is_followed_by_one():
    last = 0x3FFF_FFFF
    pair = Cell(), Cell(recorded(dict(SOUND, seq=last)))
    for count in range(4):
        Journal(pair).write(reason=str(count))
        assert again(pair)["reason"] == str(count)
    assert again(pair)["seq"] == 3
    assert held(dict(SOUND, seq=last + 1)).phase == IDLE


FILES = {
    "seq": 9, "phase": "activated", "job": "x", "number": 1, "stamp": 1, "image": "9-b",
    "slot": "ota_1", "paths": ["/app.py", "/a/b/c"], "folders": ["/a", "/a/b"], "boots": 0,
    "file": 2, "size": 100, "written": "ff",
}  # fmt: skip


def test_journal_of_files_with_a_strange_member_is_none():
    assert held(FILES, "files").phase == ACTIVATED
    for key in FILES:
        for value in STRANGE:
            if key != "written" and (key, value) != ("folders", []):
                assert held(dict(FILES, **{key: value}), "files").phase == IDLE, (key, value)
    for paths in (["app.py"], ["/a", "/a"], ["/a", 5], ["/" + "x" * 128], None,
                  ["/%d" % number for number in range(11)]):  # fmt: skip
        assert held(dict(FILES, paths=paths, folders=[]), "files").phase == IDLE, paths
    for folders in (["/b"], ["/a/b/c"], ["/a/"], ["/app.py"], [7]):
        assert held(dict(FILES, folders=folders), "files").phase == IDLE, folders
    for phase in ("owing", "operating", "rebooting"):
        assert held(dict(FILES, phase=phase), "files").phase == IDLE


def test_journal_of_files_that_lacks_what_its_phase_speaks_of_is_none():
    for phase in (ACTIVATED, DOWNLOADING):
        for key in ("seq", "phase", "job", "number", "stamp", "paths"):
            lacking = dict(FILES, phase=phase)
            lacking.pop(key)
            assert held(lacking, "files").phase == IDLE, (phase, key)
            lacking[key] = None
            assert held(lacking, "files").phase == IDLE, (phase, key)
    coming = {key: FILES[key] for key in ("seq", "job", "number", "stamp", "image", "file")}
    assert held(dict(coming, phase=DOWNLOADING), "files").phase == DOWNLOADING


def test_journal_is_about_one_execution_only():
    journal = begun(cells())
    assert journal.about(Job(JOB.id, 1, version=7, queued=False, stamp=JOB.stamp))
    assert not journal.about(Job(JOB.id, 2, stamp=JOB.stamp))
    assert not journal.about(Job(JOB.id, 1, stamp=JOB.stamp + 1))
    assert not journal.about(Job("AFR_OTA-2", 1, stamp=JOB.stamp))


def test_journal_begin_forgets_what_another_job_left():
    pair = cells()
    journal = begun(pair)
    journal.write(written=b"\xff", reason="rolled back: sick")
    other = Job("AFR_OTA-2", 1, stamp=5)
    journal.begin(other, "9-b", "ota_0", "2")
    for seen in (journal, again(pair)):
        assert seen.about(other) and not seen.about(JOB)
        assert seen.written == b"" and seen["reason"] is None and seen["image"] == "9-b"


def test_journal_owes_an_outcome_until_it_is_settled():
    pair = cells()
    journal = begun(pair)
    journal.write(written=b"\xff")
    journal.owe("succeeded", "accepted v2")
    seen = again(pair)
    assert (seen.phase, seen["step"], seen["reason"]) == (OWING, "succeeded", "accepted v2")
    assert seen.about(JOB) and seen.written == b"" and seen["version"] == "1.0.0"
    journal.mark_reported()
    seen = again(pair)
    assert seen.phase == IDLE and seen.about(JOB) and seen["step"] == "succeeded"


def test_journal_record_that_cannot_be_saved_is_not_in_force():
    journal = begun(cells())
    journal.write(phase=ACTIVATED)
    other = Job("strange", 3, stamp=9)
    for cell in journal._cells:
        cell.cut = 0
    calls = (
        (journal.take, other),
        (journal.begin, other, "9-b", "ota_0", "2"),
        (journal.owe, "rejected", "unknown job document", other),
        (journal.owe, "succeeded", "accepted v2"),
        (journal.mark_reported,),
    )
    for call in calls:
        raised(Cut, *call)
        assert journal.phase == ACTIVATED and journal.about(JOB), call
        assert journal["home"] is None and journal["step"] is None, call


def test_journal_owes_for_another_job_without_a_download():
    pair = cells()
    journal = begun(pair)
    other = Job("strange", 3, stamp=9)
    journal.owe("rejected", "unknown job document", other)
    seen = again(pair)
    assert seen.about(other) and seen["step"] == "rejected" and seen["image"] is None


def test_journal_reason_of_any_text_comes_back():
    pair = cells()
    reason = 'a "quote", a \\ and\nümlaut \u20ac'
    begun(pair).owe("failed", reason)
    assert again(pair)["reason"] == reason


def test_journal_map_of_a_whole_slot_comes_back():
    pair = cells()
    written = bytes(range(48))
    begun(pair).write(written=written)
    assert again(pair).written == written
    assert max(len(cell.data) for cell in pair) < 400


def test_journal_map_that_is_no_hex_counts_nothing():
    journal = begun(cells())
    journal.write(written="abc")
    assert journal.written == b""


def test_journal_in_files_comes_back_and_needs_none_at_first():
    stem = "/tmp/sluice-journal-" + hexlify(os.urandom(8)).decode()
    paths = [stem + ".0", stem + ".1"]
    try:
        journal = Journal([File(path) for path in paths])
        assert journal.phase == IDLE
        begun([File(path) for path in paths]).write(phase=ACTIVATED)
        seen = Journal([File(path) for path in paths])
        assert seen.phase == ACTIVATED and seen.about(JOB)
    finally:
        for path in paths:
            os.remove(path)
