"""Boards that come back: from an image that is broken anywhere, an application that resets the
board, a partition table with one slot, a full file system, a journal that is not to be read."""

from functools import cache
from pathlib import Path

import pytest
from littlefs.errors import LittleFSError
from stage import HEAP, Stage, image, soon

from sluice.bundle import make, tree
from sluice.compile import FIRMWARE
from sluice.device import provision
from sluice.device.supervisor import Board
from sluice.flash import contents
from sluice.flash.trees import Agent
from sluice.image import make_image, pack_image
from sluice.image.modules import device_sources

SMALL = 180_224  # bytes
TAKEN_BACK = "rolled back: "  # and by what, where something could say so
GUARD_MS = "300_000"  # of a trial, in main.py and boot.py; 300 s are too long to wait here
HANGS = "while True:\n    pass\n"
FAULTS = {
    "raises": "raise ValueError('broken')\n",
    "exits": "raise SystemExit\n",
    "hangs": HANGS,
    "resets": "import machine\nmachine.reset()\n",
}
MODULES = (
    "main.py",
    "board.py",
    "sluice/loading.py",
    "sluice/slots/esp32_image.py",
    "sluice/run.py",
)


def quick(text: str) -> str:
    """A guard whose watchdog is not patient."""
    assert text.count(GUARD_MS) == 1
    return text.replace(GUARD_MS, "4_000")


def boot_file() -> bytes:
    """What sluice/slots/bootfile.py writes."""
    names: dict = {}
    source = (FIRMWARE / "sluice/slots/bootfile.py").read_text()
    exec(source[source.index("TEXT = ") : source.index("log = ")], names)
    return quick(names["TEXT"].decode()).encode()


def sources(**changes: str) -> dict[str, Path | str]:
    """The firmware of an image, with a text before that of some modules."""
    found: dict[str, Path | str] = device_sources("SIM_ESP32")
    found["main.py"] = quick((FIRMWARE / "main.py").read_text())
    for name, text in changes.items():
        path = f"{name.replace('__', '/')}.py"
        old = found[path]
        found[path] = text + (old if isinstance(old, str) else old.read_text())
    return found


def flashed(scene: Stage) -> Stage:
    """Its board has the agent in a tree, as `sluice flash` leaves it, and none in its image. An
    image that brings one brings a newer one, which runs in the place of the tree."""
    bare = pack_image("", {})
    scene.board = Board(scene.root, scene.name, heap=HEAP, factory=bare)
    put(scene, contents.firmware("SIM_ESP32", older()))
    return scene


@cache
def older() -> Agent:
    """The agent, of a version before that of today."""
    members = make.agent_members("SIM_ESP32", "0.0.9")
    return Agent(tree.pack(members), "0.0.9", 6)


def put(scene: Stage, files: dict[str, bytes]) -> None:
    """Put files on the board, which is off."""
    scene.board.make()
    with provision.mounted(scene.board.chip, scene.board.table) as root:
        for path, content in files.items():
            root.makedirs(str(Path(path).parent), exist_ok=True)
            with root.open(path, "wb") as file:
                file.write(content)


@pytest.mark.parametrize("kind", ["frozen", "flashed"])
@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("fault", FAULTS)
def test_image_that_is_broken_anywhere_is_taken_back(cloud, stage, fault, module, kind):
    """In its own `main`, too: /boot.py was written by the firmware that runs."""
    scene = stage(cloud)
    if kind == "flashed":
        flashed(scene)
    put(scene, {"/boot.py": boot_file()})
    scene.power_on()
    name = module.removesuffix(".py").replace("/", "__")
    broken = make_image("1.1.0", SMALL * 2, modules=sources(**{name: FAULTS[fault]}))
    verdict = scene.verdict(scene.deploy(broken))
    assert verdict.status == "FAILED" and verdict.reason.startswith(TAKEN_BACK), scene.tail
    assert scene.running[0] == "ota_0" and scene.trials == 1


@pytest.mark.parametrize("kind", ["frozen", "flashed"])
def test_image_without_a_firmware_is_taken_back_or_runs_the_one_in_a_tree(cloud, stage, kind):
    """MicroPython alone, deployed by mistake where the firmware is frozen in."""
    scene = stage(cloud)
    if kind == "flashed":
        flashed(scene)
    put(scene, {"/boot.py": boot_file()})
    scene.power_on()
    verdict = scene.verdict(scene.deploy(make_image("1.1.0", SMALL, modules={"x.py": "y = 1\n"})))
    if kind == "frozen":
        assert verdict.status == "FAILED" and verdict.reason.startswith(TAKEN_BACK), scene.tail
    else:
        assert verdict.status == "SUCCEEDED", scene.tail


@pytest.mark.parametrize(
    ("kept", "stays"), [(None, False), (b"# no code\n\n", False), (b"# mine\nx = 1\n", True)]
)
def test_boot_file_is_written_before_an_image_is_tried_where_there_is_none(
    cloud, stage, kept, stays
):
    scene = stage(cloud)
    if kept is not None:
        put(scene, {"/boot.py": kept})
    board = scene.power_on()
    assert scene.settled(scene.deploy(image("1.1.0", SMALL))).status == "SUCCEEDED"
    board.stop()
    found = board.read_file("/boot.py")
    assert found == kept if stays else quick(found.decode()).encode() == boot_file()


LOOPS = {
    "resets": "import machine\nmachine.reset()\n",
    "exits": "async def main(link):\n    raise SystemExit\n",
    "hangs": HANGS,
    "hangs later": "async def main(link):\n    while True:\n        pass\n",
}


@pytest.mark.parametrize("app", LOOPS)
def test_application_that_keeps_the_agent_from_starting_is_left_out(cloud, stage, app):
    """After three starts that came to nothing; then a job can bring a better one."""
    scene = stage(cloud, watchdog_s=4)
    put(scene, {"/app.py": LOOPS[app].encode()})
    board = scene.power_on()
    assert any("main application failed did not start" in line for line in board.lines)
    assert len(scene.starts) + board.lines.count("reset: soft") == 5
    better = "async def main(link):\n    print('better')\n"
    verdict = scene.settled(scene.deploy(image("1.1.0", SMALL, app=better)))
    assert verdict.status == "SUCCEEDED", scene.tail
    assert "better" in board.lines
    board.wait_for("main starts no longer counted 0", after=board.lines.index("better"))
    board.stop()
    assert board.read_file("/starts") == b"00"
    assert b"application failed did not start, times 3" in board.read_file("/failures")


def test_power_cuts_at_the_start_are_no_reason_to_leave_the_application_out(cloud, stage):
    scene = stage(cloud)
    app = "import time\nprint('app')\ntime.sleep(1)\n"
    put(scene, {"/app.py": app.encode()})
    board = scene.board.start()
    for number in range(5):
        board.wait_for("^app", after=len(board.lines) - 1 if number else 0)
        board.cut_power()
        soon(lambda number=number: len(scene.starts) > number + 1)
    board.wait_for("agent idle", after=len(board.lines))
    assert board.lines.count("app") == 6 and "did not start" not in "\n".join(board.lines)


FACTORY = """nvs,data,nvs,0x9000,0x4000
otadata,data,ota,0xd000,0x2000
phy_init,data,phy,0xf000,0x1000
factory,app,factory,0x10000,0x180000
"""
ONE = "ota_0,app,ota_0,0x190000,0x100000\n"
TWO = ONE + "ota_1,app,ota_1,0x290000,0x100000\n"
VFS = "vfs,data,fat,0x390000,0x70000\n"


def on(scene: Stage, rows: str) -> Stage:
    """Its board has that partition table."""
    csv = scene.folder / "partitions.csv"
    csv.write_text(rows + VFS)
    scene.board = Board(scene.root, scene.name, heap=HEAP, partitions=csv)
    return scene


@pytest.mark.parametrize(
    "rows",
    [FACTORY, FACTORY + ONE, FACTORY.replace("factory,app,factory", "ota_0,app,ota_0"),
     "nvs,data,nvs,0x9000,0x6000\nfactory,app,factory,0x10000,0x180000\n"],
    ids=["factory", "factory and one slot", "one slot", "no otadata"],
)  # fmt: skip
def test_image_is_rejected_before_its_first_byte_where_no_other_could_follow(cloud, stage, rows):
    scene = on(stage(cloud), rows)
    board = scene.power_on()
    before = board.operations
    verdict = scene.settled(scene.deploy(image("1.1.0", SMALL)))
    assert (verdict.status, verdict.reason) == ("REJECTED", "no second slot"), scene.tail
    assert board.operations - before < 30
    assert scene.verdict(scene.job({"operation": "echo"})).status == "SUCCEEDED"
    assert scene.verdict(scene.job({"operation": "reboot"})).status == "SUCCEEDED"


def test_board_that_starts_from_factory_is_updated_and_comes_back_to_it(cloud, stage):
    scene = on(stage(cloud, trial_s=10), FACTORY + TWO)
    board = scene.power_on()
    assert "boot: factory 1.0.0 new-board" in board.lines
    verdict = scene.verdict(scene.deploy(image("1.1.0", SMALL, app="raise ValueError\n")))
    assert verdict.status == "FAILED" and verdict.reason.startswith(TAKEN_BACK), scene.tail
    assert board.lines.count("boot: factory 1.0.0 new-board") == 2
    for number in (2, 3, 4):
        assert scene.verdict(scene.deploy(image(f"1.{number}.0", SMALL))).status == "SUCCEEDED"
    assert scene.running == ("ota_0", "1.4.0")


def test_start_on_a_full_file_system_comes_through(cloud, stage):
    scene = stage(cloud)
    scene.board.make()
    with provision.mounted(scene.board.chip, scene.board.table) as root:
        try:
            for number in range(10_000):
                with root.open(f"/filler.{number}", "wb") as file:
                    file.write(bytes(3_000))
        except LittleFSError:
            pass
    board = scene.power_on()
    seen = len(board.lines)
    board.cut_power()
    board.wait_for("agent idle", after=seen)


def test_journal_that_no_start_comes_through_with_is_set_aside(cloud, stage):
    """Whatever is wrong with it: seven starts in a row came to nothing."""
    scene = stage(cloud)
    board = scene.power_on()
    assert scene.settled(scene.job({"operation": "echo"})).status == "SUCCEEDED"
    board.stop()
    held = board.read_file("/journal.0")
    board.write_file("/starts", b"70")
    scene.power_on()
    assert any("main journal set aside" in line for line in board.lines)
    board.wait_for("main starts no longer counted 0")
    assert scene.settled(scene.job({"operation": "echo"})).status == "SUCCEEDED"
    board.stop()
    assert held in board.read_file("/journal.aside")
    assert board.read_file("/starts") == b"00"
