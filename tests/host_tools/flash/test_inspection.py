"""Whether a board will do: the words for each reason that it will not."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from sluice.board_port import BoardPort
from sluice.device import otadata
from sluice.errors import SluiceError
from sluice.flash import boards, inspection, on_board

SLOTS = [(0, 16, 0x10000, 0x180000, "ota_0"), (0, 17, 0x190000, 0x180000, "ota_1")]
BLANK = (b"\xff" * 32).hex()


def record(sequence: int, state: int) -> str:
    return otadata.pack(sequence, state).hex()


GOOD = inspection.Found(
    name="micropython",
    version=(1, 25, 0),
    mpy=6,
    machine="Generic ESP32 module with ESP32",
    free=900_000,
    block=4096,
    brings=False,
    slots=SLOTS,
    otadata=(record(1, otadata.VALID), BLANK),
    running="ota_0",
    head=(b"\xe9\x02" + bytes(34)).hex(),
)


def test_board_as_it_should_be_is_taken():
    inspection.judge(GOOD)
    inspection.judge_bytecode(GOOD, 6)
    assert (GOOD.release, GOOD.chip, GOOD.ota_slots) == ("1.25.0", 0, ["ota_0", "ota_1"])


# fmt: off
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "circuitpython"},                       "runs circuitpython, not MicroPython"),
        ({"version": (1, 23, 0)},                         "MicroPython 1.23.0; 1.24 or later"),
        ({"slots": None},                                 "neither an esp32 nor a w800 module"),
        ({"slots": [(0, 0, 0xF000, 0xD6000, "app")], "staged": True},
                                                          "no place for updates.* has app.:"),
        ({"slots": [(0, 0, 65536, 2031616, "factory")]},  r"no OTA partitions.*factory"),
        ({"slots": SLOTS[:1]},                            "no OTA partitions"),
        ({"slots": []},                                   "no OTA partitions.*none"),
        ({"otadata": ()},                                 "no OTA partitions"),
        ({"otadata": (record(1, otadata.VALID), record(2, otadata.PENDING_VERIFY))},
                                                          "ota_0 is on trial"),
    ],
)
# fmt: on
def test_board_that_will_not_do_is_refused_with_the_reason(change, said):
    with pytest.raises(SluiceError, match=said):
        inspection.judge(replace(GOOD, **change))


def test_board_of_another_bytecode_is_refused():
    with pytest.raises(SluiceError, match="takes .mpy version 7, Sluice's modules have 6"):
        inspection.judge_bytecode(replace(GOOD, mpy=7), 6)


def test_slot_without_an_image_header_is_told():
    with pytest.raises(SluiceError, match="no image header"):
        assert replace(GOOD, head="ff" * 36).chip


@pytest.mark.parametrize(
    "answer",
    [None, [], "x", {}, {"name": "micropython"}, asdict(GOOD) | {"more": 1},
     asdict(GOOD) | {"head": "xyz"}, asdict(GOOD) | {"otadata": ("00",)},
     asdict(GOOD) | {"slots": [(1,)]}, asdict(GOOD) | {"slots": [(0, "a", 1, 1, "x")]},
     asdict(GOOD) | {"version": ("a",)}],
)  # fmt: skip
def test_answer_of_something_else_is_refused(answer):
    with pytest.raises(SluiceError, match="not one of MicroPython's"):
        inspection.found(answer)


def test_board_is_seen_as_it_is(session: BoardPort):
    seen = inspection.found(session.value("look()"))
    inspection.judge(seen)
    assert seen.ota_slots == ["ota_0", "ota_1"]
    assert (seen.running, seen.chip, seen.brings, seen.on_trial) == ("ota_0", 0, False, False)
    assert 500_000 < seen.free < 983_040 and seen.block == 4096


@pytest.mark.parametrize("arch", ["i386", "amd64"])
def test_micropython_without_esp32_is_seen_as_that(micropython, arch):
    done = micropython(Path(on_board.__file__).read_text() + "\nprint(repr(look()))\n", arch=arch)
    seen = inspection.found(eval(done.stdout))
    assert seen.slots is None
    with pytest.raises(SluiceError, match="neither an esp32 nor a w800"):
        inspection.judge(seen)


# --- boards --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "chip, name",
    [
        (0, "ESP32_GENERIC_OTA"),
        (5, "ESP32_GENERIC_C3"),
        (9, "ESP32_GENERIC_S3"),
        ("w800", "W800"),
    ],
)
def test_board_is_told_by_its_chip(chip, name):
    assert boards.choose(chip, None).name == name
    assert boards.choose(chip, name).chip == chip


def test_simulated_board_can_be_named():
    assert boards.choose(0, "SIM_ESP32").name == "SIM_ESP32"


def test_board_of_another_chip_is_refused_and_the_right_one_named():
    with pytest.raises(SluiceError, match="wrong board: SIM_ESP32.* chip id 0.* 9.*GENERIC_S3"):
        boards.choose(9, "SIM_ESP32")
    with pytest.raises(SluiceError, match="wrong board: SIM_ESP32.* chip id 0.* w800: take W800"):
        boards.choose("w800", "SIM_ESP32")


def test_several_boards_that_fit_are_named(monkeypatch):
    known = [*boards.kinds(), replace(boards.named("ESP32_GENERIC_OTA"), name="ESP32_MINE")]
    monkeypatch.setattr(boards, "kinds", lambda: known)
    with pytest.raises(SluiceError, match="several.*--board ESP32_GENERIC_OTA or ESP32_MINE"):
        boards.choose(0, None)


def test_board_that_there_is_not_is_refused():
    with pytest.raises(SluiceError, match="no board 'TOASTER'; looked in .*boards.*SIM_ESP32"):
        boards.choose(0, "TOASTER")
    with pytest.raises(SluiceError, match="no board in boards/ runs images for chip id 999"):
        boards.choose(999, None)
