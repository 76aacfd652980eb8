"""Applications and agents that come as bundles: tried, confirmed, taken back, and told of."""

import json
import re
from pathlib import Path

import pytest
from shadows import reported
from stage import HEAP, Cloud, Stage, Verdict, image, soon
from test_kinds import create, stored
from typed import good

from sluice import __version__
from sluice.bundle import container, make, tree
from sluice.device.supervisor import Board
from sluice.image import make_image
from sluice.image.modules import compiled

BOARD = "SIM_ESP32"
SMALL = 180_224  # bytes
GUARD_MS = "300_000"  # of a trial, in main.py; 300 s are too long to wait here
GOOD = "async def main(link):\n    print('runs {}')\n"
LONELY = """
import asyncio

async def main(link):
    while True:
        await asyncio.sleep_ms(10)
        link.close()
"""
BAD = {  # what an application does → how its trial ends
    "raise ValueError('bad')\n": "rolled back: ValueError('bad',)",
    "import nothing_of_that_name\n": "rolled back: ImportError(",
    "async def healthy():\n    return False\n": "rolled back: self-test failed",
    "async def healthy():\n    raise ValueError('ill')\n": "rolled back: ",
    "raise SystemExit\n": "rolled back: ",
    "import machine\nmachine.reset()\n": "rolled back: not confirmed in its trial",
    "x = []\nwhile True:\n    x.append(bytearray(512))\n": "rolled back: ",
    "while True:\n    pass\n": "rolled back: not confirmed in its trial",
}


def app(scene: Stage, text: str, version: str) -> bytes:
    """The bundle of an application of one file."""
    file = scene.folder / "app.py"
    file.write_text(text)
    return make.application(file, version)


def agent(version: str, **modules: str) -> bytes:
    """The bundle of this firmware, with other texts for some modules of `sluice`."""
    members = make.agent_members(BOARD, version)
    description = json.loads(members["sluice.json"])
    changed = {f"sluice/{name.replace('__', '/')}.py": text for name, text in modules.items()}
    return container.pack(description, members | compiled(changed))


def deployed(scene: Stage, *parts: bytes) -> str:
    """`sluice deploy` of these images and bundles; the job's id."""
    files = [scene.file(data) for data in parts]
    return good("deploy", *files, "--thing", scene.name, "--state", scene.root).strip()


def tried(scene: Stage, *parts: bytes) -> Verdict:
    """How such a job ended, once the board is idle again."""
    return scene.settled(deployed(scene, *parts))


def recorded(scene: Stage) -> dict:
    """The record of trees, of a board that is off."""
    return tree.read_record([scene.board.read_file(f"/trees.{n}") for n in (0, 1)])


def labels(scene: Stage) -> str:
    """The trees that the board last said it runs."""
    found = [re.search(r"main agent \S+ app \S+ (.*)", line) for line in scene.board.lines]
    return [match[1] for match in found if match][-1]


def test_application_is_updated_and_goes_back(cloud: Cloud, stage):
    scene = stage(cloud, allow_rollback=True)
    scene.power_on()
    assert labels(scene) == "no tree"
    verdict = tried(scene, app(scene, GOOD.format("one"), "1.0.0"))
    assert (verdict.status, verdict.reason) == ("SUCCEEDED", "accepted app v1.0.0")
    assert "runs one" in scene.board.lines and labels(scene) == "app.a"
    assert not [line for line in scene.board.lines if "not comparable" in line]
    assert tried(scene, app(scene, GOOD.format("two"), "1.1.0")).status == "SUCCEEDED"
    assert "runs two" in scene.board.lines and labels(scene) == "app.b"
    again = tried(scene, app(scene, GOOD.format("two"), "1.1.0"))
    assert (again.status, again.reason) == ("FAILED", "same version 1.1.0")
    older = tried(scene, app(scene, GOOD.format("old"), "1.0.0"))
    assert older.reason == "downgrade 1.1.0 to 1.0.0"
    order = {"operation": "rollback", "kind": "app", "version": "1.0.0"}
    back = scene.settled(scene.job(order))
    assert back.reason == "accepted app v1.0.0" and labels(scene) == "app.a", scene.tail
    missing = scene.settled(scene.job(order))
    assert missing.reason == "no other tree of that version app"
    assert scene.trials == 0 and scene.running[0] == "ota_0"  # no image was touched


def test_application_that_is_bad_is_taken_back(cloud: Cloud, stage):
    """Whatever it does; the one before runs again, and the record does not name the bad one."""
    scene = stage(cloud, watchdog_s=10, trial_s=10)
    scene.power_on()
    assert tried(scene, app(scene, GOOD.format("good"), "1.0.0")).status == "SUCCEEDED"
    for text, reason in BAD.items():
        verdict = tried(scene, app(scene, text, "1.1.0"))
        assert verdict.status == "FAILED" and verdict.reason.startswith(reason), (text, verdict)
        assert labels(scene) == "app.a", text
    scene.board.stop()
    record = recorded(scene)
    assert [entry[0] for entry in record["app"]] == ["a"] and not record["new"]


def test_application_that_keeps_the_board_from_linking_is_taken_back(cloud: Cloud, stage):
    scene = stage(cloud, trial_s=10)
    scene.power_on()
    verdict = tried(scene, app(scene, LONELY, "1.0.0"))
    assert verdict.status == "FAILED" and verdict.reason.startswith("rolled back"), verdict
    assert labels(scene) == "no tree"


AGENTS = {
    "run": "raise ValueError('bad')\n",
    "agent__agent": "while True:\n    pass\n",
    "starting": "import machine\nmachine.reset()\n",
    "net__connect": "raise ImportError('no way')\n",
}


def test_agent_is_updated_and_a_bad_one_is_taken_back(cloud: Cloud, stage):
    """Also one that cannot be imported, so that nothing of it can say so."""
    scene = stage(cloud, watchdog_s=10, trial_s=10)
    scene.power_on()
    verdict = tried(scene, agent("7.1.0"))
    assert verdict.reason == "accepted agent v7.1.0", scene.tail
    assert labels(scene) == "agent.a"
    for module, text in AGENTS.items():
        verdict = tried(scene, agent("7.2.0", **{module: text}))
        assert verdict.status == "FAILED", (module, scene.tail)
        assert verdict.reason.startswith("rolled back: "), (module, verdict)
        assert labels(scene) == "agent.a", module
    both = tried(scene, app(scene, GOOD.format("b"), "1.0.0"), agent("7.3.0"))
    assert both.reason == "accepted agent v7.3.0, app v1.0.0", scene.tail
    assert labels(scene) == "agent.b+app.a"


def test_bundles_share_the_verdict_of_the_image_that_they_come_with(cloud: Cloud, stage):
    scene = stage(cloud)
    scene.power_on()
    assert tried(scene, app(scene, GOOD.format("one"), "1.0.0")).status == "SUCCEEDED"
    one = app(scene, GOOD.format("two"), "1.1.0")
    verdict = tried(scene, image("1.1.0", SMALL), one)
    assert verdict.reason == "accepted v1.1.0", scene.tail
    assert labels(scene) == "app.b" and scene.running == ("ota_1", "1.1.0")
    sick = app(scene, "async def healthy():\n    return False\n", "1.2.0")
    verdict = tried(scene, image("1.2.0", SMALL), sick)
    assert verdict.reason == "rolled back: self-test failed", scene.tail
    assert labels(scene) == "app.b" and scene.running == ("ota_1", "1.1.0")
    scene.board.stop()
    assert [entry[0] for entry in recorded(scene)["app"]] == ["b"]


def test_tree_that_is_damaged_in_flash_is_passed_over(cloud: Cloud, stage):
    scene = stage(cloud)
    scene.power_on()
    for number, version in enumerate(("1.0.0", "1.1.0")):
        tried(scene, app(scene, GOOD.format(number), version))
    scene.board.stop()
    content = bytearray(scene.board.read_file("/app.b"))
    content[-60] ^= 1
    scene.board.write_file("/app.b", bytes(content))
    scene.power_on()
    assert labels(scene) == "app.a"
    assert any("tree app b is passed over: it is damaged" in line for line in scene.board.lines)
    assert tried(scene, app(scene, GOOD.format(2), "1.2.0")).status == "SUCCEEDED"
    assert labels(scene) == "app.b"


def test_what_runs_is_told_to_the_shadow(cloud: Cloud, stage):
    scene = stage(cloud)
    scene.power_on()
    tried(scene, app(scene, GOOD.format("one"), "1.0.0"))

    def told() -> dict:
        return reported(scene)

    soon(lambda: told().get("app_state") == "ended")
    assert told()["app"] == "1.0.0"
    assert told()["agent"] == __version__ and told()["trees"] == "app.a"
    shown = good("thing", "show", scene.name, "--state", scene.root)
    assert "\napplication  1.0.0, from tree app.a, ended\n" in shown, shown
    assert "image        1.0.0" in shown and "board        SIM_ESP32" in shown
    seen = json.loads(good("thing", "show", scene.name, "--state", scene.root, "--json"))
    assert seen["shadow"]["reported"] == told()


def test_application_that_came_as_a_bundle_runs_before_the_one_in_the_image(cloud: Cloud, stage):
    scene = stage(cloud)
    frozen = "async def main(link):\n    print('runs frozen')\n"
    scene.board = Board(scene.root, scene.name, heap=HEAP, factory=make_image("1.0.0", app=frozen))
    scene.power_on()
    assert "runs frozen" in scene.board.lines
    seen = len(scene.board.lines)
    assert tried(scene, app(scene, GOOD.format("one"), "1.0.0")).status == "SUCCEEDED"
    after = scene.board.lines[seen:]
    assert "runs one" in after and "runs frozen" not in after


def test_application_in_the_root_is_passed_over_where_one_came_as_a_bundle(cloud: Cloud, stage):
    scene = stage(cloud)
    scene.board.make()
    scene.board.write_file("/app.py", b"print('mine')\n")
    scene.power_on()
    assert "mine" in scene.board.lines
    seen = len(scene.board.lines)
    assert tried(scene, app(scene, GOOD.format("one"), "1.0.0")).status == "SUCCEEDED"
    after = scene.board.lines[seen:]
    assert "runs one" in after and "mine" not in after
    assert any("the app in / is passed over" in line for line in after)


@pytest.mark.parametrize("kind", ["app", "agent"])
def test_bundle_by_http_is_an_operation(cloud: Cloud, stage, kind: str):
    scene = stage(cloud, http_ca="/AmazonRootCA1.pem")
    scene.power_on()
    data = app(scene, GOOD.format("one"), "1.0.0") if kind == "app" else agent("7.1.0")
    order = {
        "operation": "update",
        "kind": kind,
        "url": stored(scene, data),
        "size": len(data),
        "sig-sha256-ecdsa": scene.signature(data),
    }
    verdict = scene.settled(create(scene, order))
    assert verdict.status == "SUCCEEDED", scene.tail


def test_safe_mode_takes_the_agent_that_ran_before(cloud: Cloud, stage, tmp_path: Path):
    """A good trial, and then an agent that resets the board at each start, as a fault may."""
    scene = stage(cloud)
    scene.power_on()
    assert tried(scene, agent("7.1.0")).status == "SUCCEEDED"
    later = "import os\ntry:\n    os.stat('/worn')\nexcept OSError:\n    pass\nelse:\n"
    later += "    import machine\n    machine.reset()\n"
    source = (Path(make.__file__).parents[2] / "firmware/sluice/starting.py").read_text()
    verdict = tried(scene, agent("7.2.0", starting=source + later))
    assert verdict.status == "SUCCEEDED", scene.tail
    scene.board.stop()
    scene.board.write_file("/worn", b"x")
    scene.power_on()
    assert labels(scene) == "agent.a"
    scene.board.stop()
    assert [entry[0] for entry in recorded(scene)["agent"]] == ["a", "b"]
