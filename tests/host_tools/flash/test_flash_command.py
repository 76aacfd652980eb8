"""`sluice flash` as it is typed, with the real mpremote transport on a simulated board's port."""

import functools
import hashlib
import json
import re
import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from merged import merged
from ports import talking
from sessions import Session
from stage import Cloud, good

from sluice import __version__, cli
from sluice.board_port import BoardPort, board_at
from sluice.bundle import container, make, tree
from sluice.commands import flash as command
from sluice.compile import firmware_sources
from sluice.device.norflash import WATCHDOG_MS
from sluice.device.supervisor import Board
from sluice.flash import boards
from sluice.image import make_image, pack_image, partitions

LATER = (2031, 3, 17, 0, 17, 46, 40, 0)  # a Monday, as machine.RTC.datetime() has it
Flash = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory, release: str) -> Path:
    """A thing of a cloud that does not run."""
    folder = tmp_path_factory.mktemp("cloud") / "lab"
    assert cli.main(["thing", "create", "lamp", "--state", str(folder)]) == 0
    return folder


@pytest.fixture
def flash(state: Path, blank: Board, capsys: pytest.CaptureFixture) -> Flash:
    """Run it; (exit code, stdout, stderr). Words may say another port or thing."""

    def run(*words: object) -> tuple[int, str, str]:
        line = ["flash", "--port", blank.link, "--thing", "lamp", "--state", state, *words]
        code = cli.main([str(word) for word in line])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def configure(state: Path):
    """Changes the thing's config.json for one test."""
    file = state / "things/lamp/config.json"
    before = file.read_text()
    yield lambda **changes: file.write_text(json.dumps(json.loads(before) | changes))
    file.write_text(before)


def refused(answer: tuple[int, str, str]) -> str:
    code, _, complaint = answer
    assert code == 1
    assert complaint.startswith("sluice: ") and complaint.count("\n") == 1, complaint
    return complaint


def test_agent_that_cannot_link_shows_its_last_lines_and_a_second_run_copies_nothing(
    flash: Flash, rested: Board
):
    code, said, complaint = flash("--endpoint", "127.0.0.1:1", "--wait", "6")
    assert code == 1
    assert complaint == ("sluice: the agent was not ready within 6 s; its last lines tell why\n")
    assert "attempt failed" in said
    assert "copied " in said and " 0 were right" in said
    operations = rested.meter.operations  # it has been running for a while: its port is free
    code, said, complaint = flash("--endpoint", "127.0.0.1:1", "--wait", "0")
    assert code == 0, complaint
    assert "nothing to copy: all" in said
    assert rested.meter.operations - operations < 10, "nothing but what the agent writes"


def test_thing_made_with_aws_is_flashed_from_its_folder_and_links(
    flash: Flash, rested: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As docs/getting-started-aws.md says, with the local cloud in AWS's place."""
    cloud, fleet = Cloud(tmp_path / "state").start(), tmp_path / "fleet"
    try:
        printed = good("cloud", "env", "--state", cloud.state.root)
        for name, value in re.findall(r"^export (\w+)=(.*)$", printed, re.MULTILINE):
            monkeypatch.setenv(name, value)
        good("thing", "create", "lamp", "--aws", "--out", fleet)
        code, said, complaint = flash("--state", fleet)
    finally:
        cloud.stop()
    assert code == 0, complaint
    assert "restarted: waiting for the agent\n" in said
    assert "lamp is ready: its agent waits for jobs" in said


def test_dry_run_says_what_and_copies_nothing(flash: Flash, rested: Board):
    code, said, _ = flash("--dry-run")
    assert code == 0
    assert "would copy /config.json" in said or ", /config.json" in said
    assert "/main.py" in said and "/trees.py" in said and "/agent.a" in said
    with Session(rested) as port:
        assert port.value("digests(['/config.json', '/main.py', '/agent.a'])") == ["", "", ""]


def test_configuration_that_is_wrong_is_told(flash: Flash, rested: Board, configure):
    configure(port=70_000)
    assert "the agent cannot start: config: port" in refused(flash("--wait", "60"))


def test_quiet_agent_is_not_waited_for(flash: Flash, rested: Board, configure):
    configure(log="E")
    code, said, _ = flash()
    assert code == 0
    assert "not waited for" in said


def test_watchdog_that_runs_already_is_given_time(flash: Flash, rested: Board):
    with Session(rested) as port:
        port.put("/config.json", b'{"thing": "lamp", "watchdog_s": 5}')
    assert flash("--dry-run")[0] == 0
    meter = rested.chip.meter
    with Session(rested) as port:
        (armed_ms,) = struct.unpack_from("<I", meter._memory, WATCHDOG_MS)
        port.reset()
    assert 5_000 < armed_ms <= 600_000  # what is left, as a soft reset does not feed it


def test_board_of_another_thing_says_which(flash: Flash, rested: Board):
    with Session(rested) as port:
        port.put("/config.json", b'{"thing": "toaster"}')
    assert "this board was thing toaster so far" in flash("--dry-run")[1]


# fmt: off
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "/dev/ttyNONE"],            "no such port: /dev/ttyNONE"),
        (["--thing", "nobody"],                 "no thing nobody"),
        (["--board", "TOASTER"],                "no board 'TOASTER'; looked in"),
        (["--board", "ESP32_GENERIC_S3"],       "wrong board: ESP32_GENERIC_S3"),
        (["--endpoint", "a/b"],                 "not an endpoint"),
        (["--firmware", "x.bin"],               "--firmware needs --board"),
        (["--erase"],                           "--erase is for --firmware"),
    ],
)
# fmt: on
def test_mistake_is_told_in_one_line(flash: Flash, rested: Board, words, said):
    assert said in refused(flash(*words))


def test_port_that_is_busy_is_told(flash: Flash, rested: Board):
    with Session(rested):
        assert "is busy: another program has it open" in refused(flash())


def test_port_without_a_board_is_told(flash: Flash, dead_port, monkeypatch):
    port, far = dead_port
    monkeypatch.setattr(command, "board_at", functools.partial(board_at, answer_s=0.3))
    assert "is silent: no board there, or one without power" in refused(flash("--port", port))
    with talking(far):
        said = refused(flash("--port", port))
    assert "answers, but not as MicroPython's REPL does" in said


OTHER = """
import sys
class Implementation:
    name, version, _mpy = {name!r}, {version!r}, {mpy!r}
class System:
    implementation, real = Implementation, sys
    def __getattr__(self, name):
        return getattr(self.real, name)
sys.modules["sys"] = System()
"""


# fmt: off
@pytest.mark.parametrize(
    ("name", "version", "mpy", "said"),
    [
        ("circuitpython", (9, 2, 1),  6, "this board runs circuitpython, not MicroPython"),
        ("micropython",   (1, 23, 0), 6, "has MicroPython 1.23.0; 1.24 or later is needed: docs/"),
        ("micropython",   (1, 40, 0), 7, "version 7, Sluice's modules have 6: it needs a release"),
    ],
)
# fmt: on
def test_board_with_another_python_is_told(flash: Flash, rested: Board, name, version, mpy, said):
    with Session(rested) as port:
        port.put("/boot.py", OTHER.format(name=name, version=version, mpy=mpy).encode())
    assert said in refused(flash())


def test_board_without_ota_partitions_is_told(flash: Flash, rested: Board):
    """As with MicroPython's plain builds, but for the label: the model started it from a slot."""
    one = partitions.Partition("ota_0", partitions.APP, 0, 0x10000, 0x1F0000)
    files = rested.table.labelled("vfs")
    table = slice(partitions.TABLE, partitions.TABLE + partitions.TABLE_SIZE)
    before = bytes(rested.flash[table])
    rested.flash[table] = partitions.pack(partitions.Table((one, files)))
    said = refused(flash())
    rested.flash[table] = before
    assert "no OTA partitions on this board (its app partitions: ota_0): it needs" in said


def test_line_without_a_thing_is_told(capsys: pytest.CaptureFixture, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SLUICE_STATE", raising=False)
    for words, said in (
        ([], "say which thing the board is to be: --thing NAME"),
        (["--state", "x"], "say which thing the board is to be: --thing NAME"),
        (["--thing", "lamp"], "say where: --state DIR"),
    ):
        assert cli.main(["flash", "--port", "/dev/ttyNONE", *words]) == 1
        assert said in capsys.readouterr().err


def test_thing_whose_file_is_missing_is_told(flash: Flash, configure):
    configure(signers=["other.crt"])
    assert "config.json of lamp names other.crt as signers" in refused(flash())


def test_board_without_room_is_told(flash: Flash, rested: Board):
    with Session(rested) as port:
        port.run("with open('/big', 'wb') as file:\n for _ in range(200): file.write(bytes(4096))")
        assert port.value("os.stat('/big')[6]") == 819_200
    assert "too little space: " in refused(flash())
    with Session(rested) as port:
        port.run("os.remove('/big')")


def test_board_on_trial_is_left_alone(flash: Flash, rested: Board, tmp_path: Path):
    rested.stop()
    rested.put_image("ota_1", pack_image("", {}))
    rested.start()
    rested.wait_for("simulated ESP32", after=len(rested.lines) - 1)
    with Session(rested) as port:
        port.run("from esp32 import Partition; Partition('ota_1').set_boot()")
        seen = len(rested.lines)
        port.reset()
    rested.wait_for("boot: ota_1 - trial", after=seen)
    rested.wait_for("simulated ESP32", after=seen)
    assert "ota_1 is on trial, and a restart would take it back" in refused(flash())
    with Session(rested) as port:
        seen = len(rested.lines)
        port.reset()
    rested.wait_for("boot: rolled back ota_1", after=seen)
    rested.wait_for("simulated ESP32", after=seen)


def test_image_that_brings_its_firmware_gets_the_clock_and_the_things_files_alone(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    clock: list[tuple] = []  # as the board has it when it is restarted

    def reset(port: BoardPort) -> None:
        clock.append(port.value("__import__('machine').RTC().datetime()"))
        restart(port)

    restart = BoardPort.reset
    monkeypatch.setattr(BoardPort, "reset", reset)
    monkeypatch.setattr(command, "_now", lambda: LATER)
    with Board(state, "lamp", link=tmp_path / "port") as board:
        board.wait_for("agent BOOTING")
        line = ["flash", "--port", tmp_path / "port", "--thing", "lamp", "--state", state]
        line += ["--endpoint", "cloud.invalid", "--wait", "0"]
        assert cli.main([str(word) for word in line]) == 0
        said = capsys.readouterr().out
    assert "brings its own firmware" in said
    assert "copied 1 files" in said
    assert clock == [LATER]
    assert json.loads(board.read_file("/config.json"))["endpoint"] == "cloud.invalid"
    for path in ("/agent.a", "/trees.0", "/trees.1", "/main.py", "/trees.py"):
        with pytest.raises(FileNotFoundError):
            board.read_file(path)


def test_firmware_of_an_earlier_layout_is_told_and_replaced(flash: Flash, rested: Board):
    old = ["/lib/ota/errors.mpy", "/lib/ota/journal.mpy", "/lib/wiring.mpy", "/main.py"]
    with Session(rested) as port:
        port.run("make_folders(['/lib', '/lib/ota'])")
        for path in old:
            port.put(path, b"")
    code, said, complaint = flash("--wait", "0")
    assert code == 0, complaint
    assert "of an earlier layout, without the package sluice: it is replaced" in said
    assert ", 3 removed" in said and "is kept as /main.py.old" in said
    with Session(rested) as port:
        assert port.value("present(%r)" % ["/lib/ota", *old[:3]]) == []
    assert "earlier layout" not in flash("--wait", "0")[1]


def test_image_that_brings_an_earlier_layout_is_told(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    old = make_image("1.0.0", modules={"ota/errors.py": "", "ota/journal.py": ""})
    assert cli.main(["thing", "create", "old", "--state", str(state)]) == 0
    with Board(state, "old", link=tmp_path / "port", factory=old) as board:
        board.wait_for("simulated ESP32")
        line = ["flash", "--port", board.link, "--thing", "old", "--state", state, "--dry-run"]
        assert cli.main([str(word) for word in line]) == 0
        said = capsys.readouterr().out
    assert "brings its own firmware, of an earlier layout: only its files are written" in said
    assert "sluice/" not in said.partition("would copy")[2]


def test_micropython_and_then_the_thing_are_written_by_one_line(
    state: Path, tmp_path: Path, capfd: pytest.CaptureFixture
):
    file = tmp_path / "firmware.bin"
    file.write_bytes(merged(boards.named("ESP32_GENERIC_OTA"), app=make_image("1.2.3")))
    with Board(tmp_path, "new", link=tmp_path / "port", download=True) as board:
        line = ["flash", "--port", board.link, "--board", "ESP32_GENERIC_OTA"]
        line += ["--firmware", file, "--thing", "lamp", "--state", state, "--wait", "0"]
        assert cli.main([str(word) for word in line]) == 0
        said = capfd.readouterr().out
        board.wait_for("agent boot ota_0 1.2.3")
    assert "Hash of data verified" in said
    assert "brings its own firmware" in said


def test_clock_is_set_to_the_time_in_utc():
    """As machine.RTC.datetime() has it: the day of the week, Monday 0, before the hour."""
    before = time.time()
    year, month, day, weekday, *moment, subseconds = command._now()
    told = datetime(year, month, day, *moment, tzinfo=UTC)
    assert int(before) <= told.timestamp() <= time.time()
    assert (weekday, subseconds) == (told.weekday(), 0)


def test_board_that_loses_its_power_meanwhile_goes_on_where_it_was(flash: Flash, rested: Board):
    rested.cut_after(300)
    complaint = refused(flash("--wait", "0"))
    assert "fell silent" in complaint or "left its raw REPL" in complaint
    rested.wait_for("power: cut")
    seen = len(rested.lines)
    for _ in range(3):  # it may still be on its way up
        code, said, complaint = flash("--wait", "0")
        if code == 0:
            break
    assert code == 0, complaint
    assert "were there from a run before, 0 were right" in said
    rested.wait_for("agent BOOTING", after=seen)  # it is started by this process, port and all
    assert "nothing to copy" in flash("--wait", "0")[1]


def test_main_of_the_user_is_kept_and_told(flash: Flash, rested: Board):
    with Session(rested) as port:
        port.put("/main.py", b"print('mine')")
    assert "is kept as /main.py.old" in flash("--wait", "0")[1]


def everything(port: BoardPort) -> set[str]:
    """All files but those that MicroPython has mounted, and what an agent keeps."""
    others = ("/rom/", "/shims/", "/starts", "/lastgood.", "/clock", "/journal.", "/failures")
    return {path for path in port.value("below('')") if not path.startswith(others)}


THINGS = {"/config.json", "/AmazonRootCA1.pem", "/certificate.pem.crt", "/private.pem.key",
          "/signer.crt"}  # fmt: skip
FLASHED = THINGS | {"/agent.a", "/trees.1", "/trees.py", "/main.py", "/flashed.json"}


@pytest.mark.parametrize("by", ["flash", "mip"])
def test_board_with_the_package_in_lib_is_brought_over_without_leftovers(
    flash: Flash, rested: Board, by: str
):
    """It was made by a `sluice flash` of before, which noted what it wrote. Or it was by mip, and
    board.py and main.py were copied by hand. It has files of the user's."""
    mine = {"/lib/tools.py": b"1", "/app.py": b"2", "/operations/own.py": b"3"}
    kind = {"flash": ".mpy", "mip": ".py"}[by]
    paths = [path.replace(".py", kind) for path in firmware_sources() if "/" in path]
    others = {f"/lib/board{kind}": b"4", f"/lib/umqtt/simple{kind}": b"5", "/main.py": b"6"}
    firmware = {f"/lib/{path}": path.encode() for path in paths} | others
    notes = {path: hashlib.sha256(text).hexdigest() for path, text in firmware.items()}
    with Session(rested) as port:
        for path, text in (firmware | mine).items():
            port.folder(path.rpartition("/")[0])
            port.put(path, text)
        if by == "flash":
            port.put("/flashed.json", json.dumps(notes).encode())
    code, said, complaint = flash("--wait", "0")
    assert code == 0, complaint
    assert "the firmware in /lib/sluice goes: the agent's tree takes its place" in said
    removed = len(paths) + (2 if by == "flash" else 0)
    assert f"copied 8 files, 0 were right, {removed} removed" in said
    assert ("is kept as /main.py.old" in said) == (by == "mip")
    stays = mine
    if by == "mip":
        stays = mine | {"/lib/board.py": b"4", "/lib/umqtt/simple.py": b"5", "/main.py.old": b"6"}
    with Session(rested) as port:
        assert everything(port) == FLASHED | set(stays)
        assert {path: port.get(path) for path in stays} == stays
        folders = port.value("present(['/lib/sluice', '/lib/umqtt'])")
        assert folders == ([] if by == "flash" else ["/lib/umqtt"])
    assert "nothing to copy" in flash("--wait", "0")[1]


def test_agent_of_a_job_is_replaced_and_an_application_of_one_runs_on(
    flash: Flash, rested: Board, tmp_path: Path
):
    """Both are told, and that the user's own application is passed over."""
    job = tree.pack(make.agent_members("ESP32_GENERIC_OTA", "9.9.9"))
    (tmp_path / "app.py").write_text("print('the tree')")
    members = container.unpack(make.application(tmp_path / "app.py", "3.1"))[1]
    app = tree.pack(members)
    entries = [["b", tree.digest(app), "3.1", 6]], [["a", tree.digest(job), "9.9.9", 6]]
    with Session(rested) as port:
        for path, text in {"/app.b": app, "/agent.a": job, "/app.py": b"print('mine')"}.items():
            port.put(path, text)
        port.put("/trees.0", tree.record(4, *entries))
    code, said, complaint = flash("--wait", "0")
    assert code == 0, complaint
    assert f"the agent 9.9.9 in agent.a is replaced by {__version__}, this installation" in said
    assert "the application 3.1 in app.b runs, and /app.py is passed over" in said
    rested.wait_for("^the tree")
    rested.wait_for(f"main agent {__version__} app 3.1 agent.b")
    with Session(rested) as port:
        trees = {"/agent.a", "/agent.b", "/app.b", "/app.py", "/trees.0", "/trees.1"}
        assert trees <= everything(port)
    said = flash("--wait", "0")[1]
    assert "is replaced" not in said and "nothing to copy" in said


def test_trial_of_a_tree_that_flashing_ends_is_told(flash: Flash, rested: Board):
    seen = len(rested.lines)
    assert flash("--wait", "0")[0] == 0
    rested.wait_for("agent BOOTING", after=seen)
    with Session(rested) as port:
        cell = tree.read_record([port.get("/trees.1")])
        new = [["a", "0" * 64, "3.1", 6]]
        port.put("/trees.0", tree.record(2, new, cell["agent"], ["app"], 1))
    assert "app.a 3.1 was on trial, which ends here" in flash("--wait", "0")[1]
