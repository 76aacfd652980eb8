"""What `--wait` says of things that do not begin, and when the user ends it."""

import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fleet_scene import Scene, soon
from patience import FUSE_S
from test_provision import good, refused
from typed import sluice

from sluice.cli import main
from sluice.cloud.state import State
from sluice.errors import SluiceError
from sluice.fleet import hints as fleet_hints
from sluice.fleet import watch
from sluice.fleet.account import Account, options
from sluice.fleet.clients import clients
from sluice.fleet.hints import hints, reason
from sluice.fleet.status import ThingStatus


@pytest.fixture
def scene(cloud) -> Scene:
    return Scene(cloud)


def connected(scene: Scene, thing: str) -> bool:
    return scene.reader.thing(thing).connected


def test_thing_that_never_connected_is_said_to_after_a_while_and_once(scene, capsys, monkeypatch):
    monkeypatch.setattr(watch, "QUIET_S", 0)
    scene.job("unheard", scene.thing("box"))
    with pytest.raises(SluiceError, match="still QUEUED after 1 s"):
        watch.wait(clients(scene.cloud.state), "unheard", ("box",), 1, "--state lab")
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("box: ")]
    assert len(said) == 1 and "QUEUED, it has never connected" in said[0]
    assert "sluice doctor --port PORT" in said[0]


def test_nothing_is_said_before_the_time_nor_of_what_goes_on(scene, capsys, monkeypatch):
    scene.job("early", scene.thing("early-bird"))
    with pytest.raises(SluiceError):
        watch.wait(clients(scene.cloud.state), "early", ("early-bird",), 1)
    assert "connected" not in capsys.readouterr().err
    monkeypatch.setattr(watch, "QUIET_S", 0)
    scene.verdict("early", "early-bird", "IN_PROGRESS")
    with pytest.raises(SluiceError, match="still IN_PROGRESS"):
        watch.wait(clients(scene.cloud.state), "early", ("early-bird",), 1)
    assert "connected" not in capsys.readouterr().err


def test_hint_is_of_what_the_cloud_knows_of_the_connection(scene, device):
    here, gone = device(scene.cloud, "standing"), device(scene.cloud, "left")
    soon(lambda: connected(scene, "standing") and connected(scene, "left"))
    gone.client.disconnect()
    soon(lambda: not connected(scene, "left"))
    scene.report("standing", board="ESP32_GENERIC_OTA")
    state = scene.cloud.state.root
    first, second = hints(scene.iot, [here.thing, gone.thing], "--state lab", state)
    assert "standing: QUEUED, it is connected, for " in first and "its prompt" in first
    assert "left: QUEUED, it is not connected, for " in second and "Wi-Fi" in second
    assert "sluice console --port PORT" in first and "sluice console --port PORT" in second
    start = "`sluice device run left --state lab` starts a simulated board."
    assert second.endswith(start) and "simulated" not in first


def test_hint_of_a_simulated_board_is_the_command_that_starts_it(scene, device, tmp_path):
    state = scene.cloud.state.root
    words = "--state 'my lab'"
    never, made = scene.thing("told", board="SIM_ESP32"), scene.thing("made")
    (state / "devices/made").mkdir(parents=True)
    for line, thing in zip(
        hints(scene.iot, [never, made], words, state), (never, made), strict=True
    ):
        start = f"`sluice device run {thing} --state 'my lab'` starts it."
        assert line.startswith(f"{thing}: QUEUED, it has never connected. Does its simulated")
        assert start.rstrip(".") in line and "--port" not in line
    scene.report("made", board="ESP32_GENERIC_OTA")
    assert "simulated" not in hints(scene.iot, [made], words, state)[0], "it has a real one now"


def test_hint_of_a_simulated_board_that_runs_is_where_its_log_is():
    there = ThingStatus("one", connected=True, connected_at=1.0)
    said = reason(there, True, "run")
    assert "`sluice device run` prints its log" in said and "--port" not in said
    gone = ThingStatus("one", connected=False, connected_at=1.0)
    assert reason(gone, True, "run").startswith("it is not connected, for ")


@pytest.mark.parametrize("simulated", [True, False, None])
def test_hint_of_a_thing_that_nobody_knows_about_does_not_say_that_it_never_connected(simulated):
    said = reason(ThingStatus("one"), simulated, "run")
    assert said.startswith("nobody knows whether it is connected. ")
    assert "never connected" in reason(ThingStatus("one", connected=False), simulated, "run")


def test_state_that_cannot_be_read_takes_no_hint_away(scene, monkeypatch):
    def refuse(*_):
        raise SluiceError("database is locked")

    monkeypatch.setattr(fleet_hints, "boards_of", refuse)
    [line] = hints(scene.iot, [scene.thing("locked")], "--state lab", Path("lab"))
    assert line.startswith("locked: QUEUED, it has never connected")
    assert line.endswith("starts a simulated board.")


def test_hints_are_of_the_first_things_and_say_how_to_see_the_others(scene):
    names = [scene.thing(f"row-{number}") for number in range(5)]
    *each, last = hints(scene.iot, names, "--state 'my lab'")
    assert [line.partition(":")[0] for line in each] == names[:3]
    assert last == (
        "2 more are QUEUED: `sluice fleet --offline --state 'my lab'` lists what is not connected"
    )


def test_connection_that_nobody_knows_is_said_not_to_be_known(scene):
    assert "nobody knows" in reason(ThingStatus("one"), None, "run")
    [line] = hints(scene.iot, ["no-such-thing"], "--aws")
    assert "nobody knows" in line, "a refusal is no answer"
    assert line.endswith("`sluice device run no-such-thing --state DIR` starts a simulated board.")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (State(Path("lab")), "--state lab"),
        (State(Path("my lab")), "--state 'my lab'"),
        (Account(), "--aws"),
        (Account(endpoint_url="http://x"), "--aws --endpoint-url http://x"),
        (Account(profile="two", region="eu-west-1"), "--aws --profile two --region eu-west-1"),
    ],
)
def test_place_is_told_by_the_options_that_say_which_cloud_is_meant(given, words):
    assert options(given) == words


def test_user_who_ends_waiting_is_told_that_the_job_goes_on_and_how_to_see_it(scene, tmp_path):
    scene.thing("slow")
    order = tmp_path / "order.json"
    order.write_text('{"operation": "echo"}')
    state = scene.cloud.state.root
    line = ("job", "create", "--thing", "slow", "--document", order, "--id", "slowly", "--wait")
    words = [sys.executable, "-m", "sluice.cli", *map(str, line), "--state", str(state)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, text=True, **pipes) as process:
        assert process.stdout.readline() == "slowly\n"
        assert process.stderr.readline() == "slowly: 1 QUEUED\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(FUSE_S) == 130
        assert process.stdout.read() == "1 QUEUED\n"
        *_, last = process.stderr.read().splitlines()
    assert last.startswith("slowly: the job goes on: `sluice job show slowly --state ")
    command = shlex.split(last.split("`")[1])
    assert "outcome      1 QUEUED" in good(sluice(*command[1:]))


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        ("SUCCEEDED", 0, "SUCCEEDED accepted, version unknown\n"),
        ("FAILED", 1, "sluice: waited-FAILED: FAILED: accepted v\n"),
    ],
)
def test_job_create_waits_for_the_verdict(scene, tmp_path, capsys, status, code, said):
    name = scene.thing(f"of-{status}")
    order = tmp_path / "order.json"
    order.write_text('{"operation": "echo"}')

    def behave() -> None:
        soon(lambda: scene.iot.list_job_executions_for_thing(thingName=name)["executionSummaries"])
        scene.verdict(f"waited-{status}", name, status, "accepted v")

    thread = threading.Thread(target=behave)
    thread.start()
    line = ["job", "create", "--thing", name, "--document", str(order), "--wait"]
    line += ["--id", f"waited-{status}", "--state", str(scene.cloud.state.root)]
    assert main([*line, "--timeout", str(FUSE_S)]) == code
    thread.join(FUSE_S)
    printed = capsys.readouterr()
    assert (printed.out + printed.err).endswith(said) or said in printed.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--wait", "--continuous", "--group", "any"), "a --continuous job has no end"),
        (("--timeout", "5"), "--timeout is for --wait"),
    ],
)
def test_waiting_of_no_sense_is_refused_before_anything_is_made(scene, tmp_path, words, said):
    order = tmp_path / "order.json"
    order.write_text('{"operation": "echo"}')
    line = ("job", "create", "--thing", scene.thing("senseless"), "--document", order)
    assert said in refused(sluice(*line, *words, "--state", scene.cloud.state.root))
    assert not scene.iot.list_job_executions_for_thing(thingName="senseless")["executionSummaries"]
