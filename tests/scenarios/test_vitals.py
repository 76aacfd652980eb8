"""How a board does, as its shadow says without being asked: on by default, bounded, no secrets."""

import json
import re

import pytest
from patience import FUSE_S
from shadows import data, desire, reported, settled, state
from stage import HEAP, Stage, image, soon

from sluice.compile import ROOT
from sluice.device.supervisor import Board

BOARDS = ("SIM_ESP32", "SIM_W800")
SMALL = 180_224  # bytes
WIFI = {"ssid": "net", "password": "hush-hush-hush"}
COUNTED = 1_024  # bytes that AWS counts as one
MOST = 2_048  # bytes of a report
QUIET_S = 1.5  # without a word, so that a board counts as silent


def shadows(ears) -> list[dict]:
    """The states that were reported so far."""
    heard = [body for topic, body in ears.heard if topic == "shadow/update"]
    return [body["state"]["reported"] for body in heard if "reported" in body["state"]]


def size(told: dict) -> int:
    """Bytes of a report, as the board sends it."""
    return len(json.dumps({"state": {"reported": told}}, ensure_ascii=False).encode())


def equipped(scene: Stage, name: str = "SIM_ESP32", **more) -> Board:
    """The stage's board, of that kind; with an application, where there is one."""
    scene.board = Board(scene.root, scene.name, board=name, heap=HEAP, **more)
    return scene.board


@pytest.mark.parametrize("name", BOARDS)
def test_board_tells_how_it_does_without_being_asked(cloud, stage, spy, name):
    scene = stage(cloud, wifi=WIFI)
    board = equipped(scene, name)
    ears = spy(scene)
    scene.power_on()
    first = reported(scene)
    assert (first["board"], first["version"], first["rssi"]) == (name, "1.0.0", -50)
    assert (first["reset"], first["settings"]["report_s"]) == ("power-on", 1)
    assert re.fullmatch(r"1\.\d+\.\d+", first["micropython"]) and first["free"] > 1_000
    assert not {"failures", "log", "job"} & set(first)
    failed = scene.job({"operation": "none_of_ours"})
    assert scene.settled(failed).status == "REJECTED"
    soon(lambda: reported(scene).get("job", {}).get("id") == failed, FUSE_S)
    after = reported(scene)
    [failure] = after["failures"]
    assert re.match(rf"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC: {failed} 1 rejected ", failure), (
        failure
    )
    assert any("none_of_ours" in line for line in after["log"])
    assert all(size(told) < COUNTED for told in shadows(ears)), shadows(ears)
    board.stop()
    scene.power_on()
    again = reported(scene)
    assert again["failures"] == [failure] and "log" not in again  # which lies in RAM


def test_board_that_is_wired_has_no_signal(cloud, stage):
    scene = stage(cloud)
    scene.power_on()
    assert "rssi" not in reported(scene) and reported(scene)["free"] > 1_000


HANGS = """
import time

async def main(link):
    import machine
    if machine.reset_cause() != machine.WDT_RESET:
        time.sleep(60)
"""


def test_board_that_its_watchdog_reset_says_so(cloud, stage):
    scene = stage(cloud, watchdog_s=2)
    equipped(scene, factory=image("1.0.0", app=HANGS))
    scene.power_on()
    assert reported(scene)["reset"] == "watchdog"


@pytest.mark.parametrize("name", BOARDS)
def test_shadow_that_is_turned_off_has_the_version_alone_told_at_a_start(cloud, stage, spy, name):
    scene = stage(cloud, shadow=False)
    equipped(scene, name)
    ears = spy(scene)
    desire(scene, {"report_s": 30})
    board = scene.power_on()
    scene.settled(scene.job({"operation": "echo", "text": "hello"}))
    [told] = shadows(ears)
    assert told.pop("agent")
    assert told == {
        "nrf_cloud_app_fw_version": "1.0.0", "board": name, "app": None, "trees": None,
        "app_state": None,
    }  # fmt: skip
    assert state(scene)["desired"] == {"settings": {"report_s": 30}}
    assert not any("settings" in line for line in board.lines)


def restrict(scene: Stage, text: str) -> None:
    """Have a policy alone say what the thing may do, as with AWS."""
    iot = scene.cloud.calls.iot
    iot.create_policy(policyName=scene.name, policyDocument=text)
    [principal] = iot.list_thing_principals(thingName=scene.name)["principals"]
    for policy in iot.list_attached_policies(target=principal)["policies"]:
        iot.detach_policy(policyName=policy["policyName"], target=principal)
    iot.attach_policy(policyName=scene.name, target=principal)


def page(account: str, without: str = "") -> str:
    """The page's policy, without the lines of a word."""
    text = (ROOT / "docs/thing-policy.json").read_text()
    policy = json.loads(text.replace("YOUR-REGION:YOUR-ACCOUNT", account))
    for row in policy["Statement"]:
        if without and isinstance(row["Resource"], list):
            jobs = [name.replace("}/*/", "}/jobs/*/") for name in row["Resource"]]
            row["Resource"] = [name for name in jobs if without not in name]
    return json.dumps(policy)


@pytest.fixture
def account(cloud) -> str:
    """Region and account, as they stand in its names."""
    about = cloud.state.running()
    return f"{about['region']}:{about['account']}"


def test_policy_of_the_page_allows_what_is_on_by_default(cloud, stage, account):
    scene = stage(cloud)
    restrict(scene, page(account))
    board = scene.power_on()
    desire(scene, {"report_s": 7})
    settled(scene, "report_s", 7)
    assert sum("mqtt linked" in line for line in board.lines) == 1


@pytest.mark.parametrize("name", BOARDS)
def test_policy_without_the_shadow_costs_two_sessions_and_the_jobs_go_on(
    cloud, stage, account, name
):
    scene = stage(cloud)
    restrict(scene, page(account, without="shadow"))
    board = equipped(scene, name)
    scene.power_on()
    for _ in range(2):
        job = scene.job({"operation": "echo", "text": "still here"})
        assert scene.settled(job).reason == "still here"
    assert sum("mqtt linked" in line for line in board.lines) == 3, scene.tail
    assert sum("subscription refused" in line for line in board.lines) == 2
    assert not state(scene)


LOUD = """
import asyncio
from sluice.log import Log

async def main(link):
    for number in range(40):
        Log("app").e(number, '"quoted" \\\\ caf\\u00e9 \\x1b[2J ' * 4)
"""


@pytest.mark.parametrize("name", BOARDS)
def test_report_of_much_that_went_wrong_is_bounded_and_can_be_read(cloud, stage, spy, name):
    scene = stage(cloud, wifi=WIFI)
    chip = "w800" if name == "SIM_W800" else "esp32"
    board = equipped(scene, name, factory=image("1.0.0", None, app=LOUD, chip=chip))
    ears = spy(scene)
    board.make()
    lines = (f"{at}000000000 {at} {'«quoted» ' * 4}{chr(34) * 200}" for at in range(1, 5))
    board.write_file("/failures", "\n".join(lines).encode())
    desire(scene, {"window": 0, '"' * 90: 1, "é" * 90: 2})
    scene.power_on()
    scene.settled(scene.job('{"operation": "' + '\\"\\\\' * 40 + '"}'))
    soon(lambda: reported(scene).get("job"), FUSE_S)
    told = shadows(ears)
    assert all(size(one) <= MOST for one in told), [size(one) for one in told]
    last = reported(scene)
    assert len(last["refused"]) == 3 and last["failures"] and last["job"]["status"] == "REJECTED"
    for line in last["failures"] + last.get("log", []):
        assert line.isascii() and line.isprintable()
    whole = data(cloud).get_thing_shadow(thingName=scene.name)["payload"].read()
    assert len(whole) < 4_096, "more than that a board does not read"
    desire(scene, {"window": 65_536, '"' * 90: None, "é" * 90: None})
    settled(scene, "window", 65_536)


FAILS = """
import asyncio

async def main(link):
    raise OSError("https://host/app?X-Amz-Signature=5ec2e7")
"""


def test_report_has_no_secret(cloud, stage, spy):
    scene = stage(cloud, wifi=WIFI, download_hosts=["*:*"])
    equipped(scene, factory=image("1.0.0", app=FAILS))
    ears = spy(scene)
    scene.power_on()
    new = image("1.1.0", SMALL)
    document = scene.document(new, {"protocols": ["HTTP"]})
    query = "X-Amz-Credential=AKIDEXAMPLE&X-Amz-Signature=5ec2e7"
    document["afr_ota"]["files"][0]["update_data_url"] = f"https://localhost:1/a.bin?{query}"
    job = scene.job(document)
    soon(lambda: any("DOWNLOADING" in line for line in scene.board.lines), FUSE_S)
    scene.cancel(job, "--force")
    soon(lambda: len(shadows(ears)) > 1, FUSE_S)
    scene.settled(scene.job({"operation": "echo", "text": "hello"}))
    soon(lambda: any("job" in told for told in shadows(ears)), FUSE_S)
    text = json.dumps(shadows(ears))
    assert "application failed OSError('https://host/app" in text
    private = json.loads((scene.files / "config.json").read_text())
    key = (scene.files / "private.pem.key").read_text().split("\n")[1]
    assert private["wifi"] == WIFI
    for secret in (WIFI["password"], "X-Amz", "5ec2e7", "AKIDEXAMPLE", key, "sluice-"):
        assert secret not in text, secret


def test_what_moves_is_told_once_and_not_again_while_nothing_happens(cloud, stage, spy):
    scene = stage(cloud, poll_s=30)
    ears = spy(scene)
    scene.power_on()
    with pytest.raises(AssertionError):
        soon(lambda: len(shadows(ears)) > 1, QUIET_S)
