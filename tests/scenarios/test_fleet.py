"""What `sluice fleet`, `job show` and `--wait` tell of real boards: well, failed, silent."""

import json
import subprocess
import sys

import pytest
from person import Person
from stage import HEAP, Stage, image, soon
from typed import good

from sluice.cli import main
from sluice.device.supervisor import Board
from sluice.fleet import watch
from sluice.image.modules import SELF_TESTS

SMALL = 180_224  # bytes


def standing(scene: Stage) -> dict:
    """The thing, as `sluice fleet` has it."""
    found = json.loads(good("fleet", "--state", scene.root, "--json"))
    [one] = [thing for thing in found if thing["thingName"] == scene.name]
    return one


def row(scene: Stage, *words: str) -> str:
    """The thing's line in `sluice fleet`, "" where it has none."""
    rows = good("fleet", "--state", scene.root, *words).splitlines()
    return next((line for line in rows if line.startswith(f"{scene.name} ")), "")


def test_board_that_was_updated_is_shown_with_its_new_version_and_its_verdict(cloud, stage):
    scene = stage(cloud)
    scene.power_on()
    job = scene.deploy(image("1.1.0", SMALL))
    assert scene.settled(job).status == "SUCCEEDED"
    soon(lambda: "1.1.0" in row(scene))
    shown = row(scene)
    assert "connected" in shown and "1.1.0" in shown and "SUCCEEDED" in shown and job in shown
    assert row(scene, "--outdated", "1.1.0") == row(scene, "--failed") == ""
    assert row(scene, "--outdated", "1.1.1")
    about = good("thing", "show", scene.name, "--state", scene.root)
    assert f"last job     SUCCEEDED accepted v1.1.0 ({job})" in about
    assert "outcome      1 SUCCEEDED\n" in good("job", "show", job, "--state", scene.root)


def test_board_that_rolled_back_is_shown_as_failed_and_why(cloud, stage):
    scene = stage(cloud)
    scene.power_on()
    job = scene.deploy(image("1.1.0", SMALL, app=SELF_TESTS["fail"]))
    assert scene.settled(job).status == "FAILED"
    assert f"FAILED: rolled back: self-test failed ({job})" in row(scene, "--failed")
    listed = good("job", "list", "--state", scene.root)
    [line] = [line for line in listed.splitlines() if line.startswith(job)]
    assert line.endswith("1 FAILED") and "COMPLETED" not in line
    assert "FAILED: rolled back: self-test failed" in good(
        "job", "show", job, "--state", scene.root
    )


@pytest.fixture
def order(tmp_path):
    """A job document, in a file."""
    file = tmp_path / "order.json"
    file.write_text('{"operation": "reboot"}')
    return file


def waited(scene: Stage, order, capsys, monkeypatch) -> str:
    """What `job create --wait` says of the thing at once, as it does after 15 s."""
    monkeypatch.setattr(watch, "QUIET_S", 0)
    line = ["job", "create", "--thing", scene.name, "--document", str(order), "--wait"]
    assert main([*line, "--state", str(scene.root), "--timeout", "1"]) == 1
    said = capsys.readouterr().err
    assert "still QUEUED after 1 s; the job goes on: `sluice job show job-" in said
    [hint] = [line for line in said.splitlines() if line.startswith(f"{scene.name}: ")]
    return hint


def test_board_that_was_never_switched_on_is_said_to_have_never_connected(
    cloud, stage, order, capsys, monkeypatch
):
    scene = stage(cloud)
    assert "it has never connected" in waited(scene, order, capsys, monkeypatch)
    assert "never" in row(scene, "--offline") and "QUEUED" in row(scene)


def test_board_that_was_switched_off_is_said_to_be_gone(cloud, stage, order, capsys, monkeypatch):
    scene = stage(cloud)
    scene.power_on()
    soon(lambda: standing(scene)["connectivity"]["connected"])
    scene.board.stop()
    soon(lambda: not standing(scene)["connectivity"]["connected"])
    hint = waited(scene, order, capsys, monkeypatch)
    assert "it is not connected, for " in hint and "at its prompt" in hint
    assert " ago" in row(scene, "--offline")


def test_board_at_its_prompt_is_said_to_be_where_it_may_be(
    cloud, stage, order, capsys, monkeypatch
):
    scene = stage(cloud)
    port = scene.folder / f"port-{scene.name}"
    scene.board = Board(scene.root, scene.name, heap=HEAP, link=port)
    scene.power_on()
    person = Person(port)
    try:
        person.interrupt()
        hint = waited(scene, order, capsys, monkeypatch)
        assert "its prompt" in hint and "aws_job.start() leaves the prompt" in hint
        seen = len(scene.board.lines)
        person.say("aws_job.start()", b"soft reboot")
        scene.board.wait_for("agent REPORTING reported", after=seen)
    finally:
        person.close()
    soon(lambda: "SUCCEEDED" in row(scene))


def test_watching_tells_when_a_board_comes(cloud, stage):
    scene = stage(cloud)
    line = ["fleet", "--state", str(scene.root), "--watch", "--every", "0.1"]
    words = [sys.executable, "-m", "sluice.cli", *line]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        said = (text for text in process.stdout if text.startswith(f"{scene.name} "))
        assert "never" in next(said)
        scene.power_on()
        assert any("connected" in text for text in said)  # the index may be behind the shadow
        process.terminate()
