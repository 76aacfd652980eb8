"""`sluice fleet`, `job` and `thing` as a user meets them: what is printed, at several widths."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys

import pytest
from fleet_scene import Scene, soon
from patience import FUSE_S
from test_provision import good, refused
from typed import sluice

from sluice.cli import main
from sluice.commands import fleet as fleet_command

CODES = re.compile(r"\x1b\[[0-9;]*m")
TOLD = {"version": "1.1.0", "agent": "0.2.0", "app": "1.3.0", "board": "ESP32_GENERIC_OTA"}
TOLD |= {"free": 24336, "rssi": -61, "reset": "watchdog", "slot": "ota_1"}
JOB = "AFR_OTA-sluice-0123456789ab"
REASON = "signature of the image does not fit: it was made with another key than signer.crt's"


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Three things, of which one told all, one is of an older board, and one told nothing."""
    from cloud_process import RunningCloud

    cloud = RunningCloud(tmp_path_factory.mktemp("fleet") / "state", "--port=0", "--http-port=0")
    cloud.start()
    made = Scene(cloud)
    made.thing("pump-of-the-north-side-1", **TOLD)
    made.thing("old", version="1.0.0", app="1.2.0")
    made.thing("never")
    made.job(JOB, "pump-of-the-north-side-1", "old")
    made.verdict(JOB, "pump-of-the-north-side-1", "FAILED", REASON)
    made.verdict(JOB, "old", "SUCCEEDED", "accepted app v")
    made.job("queued", "never")
    yield made
    cloud.stop()


@pytest.fixture
def printed(scene, capsys, monkeypatch):
    """A function: (words, columns of the terminal or None) → what a command prints."""

    def run(*words: str, columns: int | None = None) -> str:
        if columns:
            monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes that for a terminal
            monkeypatch.setenv("TERM", "xterm")
            monkeypatch.setenv("COLUMNS", str(columns))
        assert main([*words, "--state", str(scene.cloud.state.root)]) == 0
        return CODES.sub("", capsys.readouterr().out)

    return run


LOOKS = [("fleet",), ("job", "list"), ("job", "show", JOB)]
LOOKS += [("thing", "list")]


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
@pytest.mark.parametrize("words", LOOKS)
def test_rows_fit_the_terminal(printed, words, columns):
    rows = printed(*words, columns=columns).splitlines()
    assert rows and max(map(len, rows)) <= columns


@pytest.mark.parametrize("columns", [60, 80, 120, None])
def test_fleet_tells_all_that_is_known_at_any_width(printed, columns):
    said = " ".join(printed("fleet", columns=columns).split())
    for text in ("1.1.0", "0.2.0", "1.3.0", "24,336", "-61 dBm", "watchdog", "FAILED", "QUEUED"):
        assert text in said, text
    assert said.count(JOB) == 2, "its id can be given to other commands"
    assert "3 things: 0 connected, 1 whose last job went wrong" in said


def test_fleet_without_a_terminal_has_a_line_a_thing_and_cuts_nothing(printed):
    head, *rows, last = printed("fleet").splitlines()
    columns = "THING SEEN BOARD IMAGE AGENT APP FREE SIGNAL RESET LAST JOB"
    assert head.split() == columns.split()
    assert [row.split()[0] for row in rows] == ["never", "old", "pump-of-the-north-side-1"]
    assert f"FAILED: {REASON} ({JOB})" in rows[2]
    assert "never" in rows[0].split()[1] and last.startswith("3 things")


@pytest.mark.parametrize(
    ("words", "things"),
    [
        (("--failed",), ["pump-of-the-north-side-1"]),
        (("--outdated", "1.3.0"), ["never", "old"]),
        (("--outdated", "1.2"), ["never"]),
        (("--outdated", "1.4.0", "--failed"), ["pump-of-the-north-side-1"]),
        (("--offline",), ["never", "old", "pump-of-the-north-side-1"]),
    ],
)
def test_filters_leave_those_that_are_meant(printed, words, things):
    found = json.loads(printed("fleet", *words, "--json"))
    assert [thing["thingName"] for thing in found] == things
    assert f"{len(things)} of 3" in printed("fleet", *words) or len(things) == 3


def test_filter_that_finds_nobody_says_so(printed):
    assert printed("fleet", "--outdated", "1.0", "--failed") == "none of 3 things\n"


def test_connected_thing_is_no_offline_one(scene, device, printed):
    device(scene.cloud, "here", listen=False)

    def connected() -> bool:
        return "here" not in {one["thingName"] for one in found("--offline")}

    def found(*words: str) -> list[dict]:
        return json.loads(printed("fleet", *words, "--json"))

    soon(connected)
    [here] = [one for one in found() if one["thingName"] == "here"]
    assert here["connectivity"]["connected"] is True and "lastSeenAt" in here
    assert "connected" in printed("thing", "list").splitlines()[1]
    scene.iot.detach_thing_principal(
        thingName="here",
        principal=scene.iot.list_thing_principals(thingName="here")["principals"][0],
    )
    scene.iot.delete_thing(thingName="here")


def test_json_has_awss_names(printed):
    one = json.loads(printed("fleet", "--failed", "--json"))[0]
    assert set(one) == {
        "thingName", "thingGroupNames", "attributes", "connectivity", "shadow", "lastSeenAt",
        "execution",
    }  # fmt: skip
    assert one["shadow"]["reported"] == TOLD and one["connectivity"] == {"connected": False}
    assert one["execution"]["statusDetails"] == {"reason": REASON}
    shown = json.loads(printed("thing", "show", one["thingName"], "--json"))
    assert shown == one | {"execution": shown["execution"]}
    [_, job] = json.loads(printed("job", "list", "--json"))
    assert job["jobProcessDetails"] == {"numberOfSucceededThings": 1, "numberOfFailedThings": 1}
    assert job["status"] == "COMPLETED" and job["targets"][0].startswith("arn:aws:iot:")


def test_jobs_are_listed_by_what_became_of_them(printed):
    head, queued, ended = printed("job", "list").splitlines()
    assert head.split() == ["JOB", "AGE", "FOR", "OUTCOME"]
    assert queued.startswith("queued ") and queued.split()[-3:] == ["never", "1", "QUEUED"]
    assert ended.endswith("1 SUCCEEDED, 1 FAILED") and "COMPLETED" not in ended
    assert "1 earlier ones: --last shows more" in printed("job", "list", "--last", "1")


def test_job_is_shown_in_words(printed):
    rows = printed("job", "show", JOB).splitlines()
    assert rows[:3] == [
        f"job          {JOB}",
        "outcome      1 SUCCEEDED, 1 FAILED",
        "for          pump-of-the-north-side-1, old",
    ]
    assert "document     the operation echo" in rows
    bad, well = rows[-2:]
    assert bad.endswith(f"FAILED: {REASON}"), "what went wrong comes first"
    assert well.endswith("SUCCEEDED accepted app, version unknown")


def test_thing_is_shown_with_its_last_job_and_health(printed):
    rows = printed("thing", "show", "pump-of-the-north-side-1").splitlines()
    assert "image        1.1.0 in ota_1" in rows and "free heap    24,336 bytes" in rows
    assert "signal       -61 dBm" in rows and "last reset   watchdog" in rows
    assert "connected    no, and it never was" in rows
    assert f"last job     FAILED: {REASON} ({JOB})" in rows


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("fleet", "--outdated", "new"), "a version is wanted"),
        (("fleet", "--every", "3"), "--every is for --watch"),
        (("fleet", "--watch", "--every", "0"), "--every is for --watch, in seconds"),
        (("fleet", "--endpoint-url", "http://x"), "--endpoint-url is for --aws"),
        (("thing", "list", "--endpoint-url", "http://x"), "--endpoint-url is for --aws"),
        (("job", "list", "--last", "0"), "--last is 1 or more"),
        (("thing", "show", "none"), "unknown thing none"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(scene, words, said):
    assert said in refused(sluice(*words, "--state", scene.cloud.state.root))


def test_things_of_aws_are_listed_by_its_calls(scene, monkeypatch, capsys):
    """By endpoint_url; on AWS these would be the calls."""
    about = scene.cloud.state.running()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", about["access_key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", about["secret_key"])
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    there = ["--aws", "--endpoint-url", about["http_endpoint"]]
    for words in (["thing", "list"], ["thing", "show", "old"], ["fleet"]):
        assert main([*words, *there]) == 0
    printed = capsys.readouterr().out
    assert "old" in printed and "application  1.2.0" in printed
    assert "things: 0 connected, 1 whose last job went wrong (" in printed and " calls)" in printed


# --- again and again ---------------------------------------------------------------------------


def watching(scene: Scene, *words: str, **more) -> subprocess.Popen:
    line = [sys.executable, "-m", "sluice.cli", "fleet", "--state", scene.cloud.state.root]
    return subprocess.Popen([*line, "--watch", "--every", "0.1", *words], text=True, **more)


def test_watch_without_a_terminal_has_a_line_for_each_change(scene):
    scene.thing("changing", version="1.0.0")
    with watching(scene, stdout=subprocess.PIPE) as process:
        first = [process.stdout.readline() for _ in range(4)]
        names = ["changing", "never", "old", "pump-of-the-north-side-1"]
        assert [line.split()[0] for line in first] == names
        scene.report("changing", version="2.0.0")
        assert "image 2.0.0" in process.stdout.readline()
        scene.report("changing", free=7)  # which is no change worth a line
        scene.iot.delete_thing(thingName="changing")
        assert process.stdout.readline() == "changing  is no longer among them\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(FUSE_S) == 130
        assert process.stdout.read() == ""


def test_watch_as_json_has_a_line_for_each_change(scene):
    scene.thing("changing", version="1.0.0")
    with watching(scene, "--json", "--outdated", "1.1.5", stdout=subprocess.PIPE) as process:
        names = [one["thingName"] for one in json.loads(process.stdout.readline())]
        assert names == ["changing", "never"]
        scene.report("changing", version="2.0.0")
        [left] = json.loads(process.stdout.readline())
        assert left["thingName"] == "never"
        process.send_signal(signal.SIGINT)
        assert process.wait(FUSE_S) == 130
    scene.iot.delete_thing(thingName="changing")


def on_screen(seen: str) -> list[str]:
    """The rows that a terminal shows in the end of what rich drew, and where the cursor is."""
    rows, at = [""], 0
    for part in re.findall(r"\x1b\[\d*[A-Za-z]|[\r\n]|[^\r\n\x1b]+", CODES.sub("", seen)):
        if part == "\n":
            at += 1
            rows.extend([""] * (at == len(rows)))
        elif part in ("\x1b[1A", "\x1b[2K"):
            at -= part.endswith("A")
            rows[at] = rows[at] if part.endswith("A") else ""
        elif part.isprintable():
            rows[at] += part
    return rows


def test_watch_at_a_terminal_redraws_its_table(scene):
    scene.thing("changing", version="1.0.0")
    ours, its = pty.openpty()
    looks = os.environ | {"TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    with watching(scene, stdout=its, stderr=its, stdin=its, env=looks) as process:
        os.close(its)
        seen = ""
        for text in ("image 1.0.0", "image 7.0.0"):
            scene.report("changing", version=text.split()[1])
            while text not in seen:
                assert select.select([ours], [], [], FUSE_S)[0], seen
                seen += os.read(ours, 65536).decode(errors="replace")
        process.send_signal(signal.SIGINT)
        assert process.wait(FUSE_S) == 130
    with contextlib.suppress(OSError):  # that of a terminal that nobody holds any more
        while select.select([ours], [], [], FUSE_S)[0]:
            seen += os.read(ours, 65536).decode(errors="replace")
    os.close(ours)
    assert "Traceback" not in seen
    heads = [row for row in on_screen(seen) if row.startswith("THING")]
    assert len(heads) == 1 and on_screen(seen)[-2].startswith("4 things")
    scene.iot.delete_thing(thingName="changing")


def test_watch_outlives_a_cloud_that_ends_and_comes_back(own_cloud):
    port = own_cloud.start()["http_endpoint"].rpartition(":")[2]
    Scene(own_cloud).thing("one", version="1.0.0")
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE}
    with watching(Scene(own_cloud), **pipes) as process:
        assert "image 1.0.0" in process.stdout.readline()
        own_cloud.stop()
        assert process.stderr.readline().startswith("will ask again: ")
        own_cloud.start("--port=0", f"--http-port={port}")
        Scene(own_cloud).report("one", version="2.0.0")
        assert "image 2.0.0" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(FUSE_S) == 130
        assert process.stderr.read() == "", "it is said once"


def test_default_pace_of_watching_is_slower_where_calls_cost_something():
    assert fleet_command.EVERY_S[True] < fleet_command.EVERY_S[False]


def test_help_says_what_looking_costs():
    assert "each 100" in good(sluice("fleet", "--help"))
