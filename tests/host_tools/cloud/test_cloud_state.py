"""The state folder: whether a cloud runs there, who may read what it holds, its store."""

import json
import os
import socket
import sqlite3
import threading
from fcntl import LOCK_SH, flock
from pathlib import Path
from stat import S_IMODE

import pytest

from sluice.cloud.announce import exposed, point_at, ready
from sluice.cloud.state import State, write_atomically
from sluice.cloud.store import Store, open_store
from sluice.errors import SluiceError


@pytest.fixture(autouse=True)
def usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path) -> str:
    return oct(S_IMODE(path.stat().st_mode))


def test_who_asks_whether_a_cloud_runs_is_taken_for_none_and_keeps_none_from_starting(tmp_path):
    state = State(tmp_path / "lab")
    assert not state.alive and not state.root.exists()
    state.lock().close()
    asking = (state.root / "cloud.lock").open()
    flock(asking, LOCK_SH)
    assert not state.alive
    threading.Timer(0.05, asking.close).start()
    with state.lock():
        assert state.alive
    assert not state.alive


@pytest.mark.parametrize("words", [("cloud", "env"), ("job", "list")])
def test_cloud_of_an_earlier_release_that_still_runs_is_said_in_one_line(tmp_path, command, words):
    state = State(tmp_path / "lab")
    with state.lock():
        state.ready.write_text('{"endpoint": "localhost", "region": "us-east-1"}')
        done = command(*words, "--state", state.root)
    assert (done.returncode, done.stdout) == (1, "false\n" if words[1] == "env" else "")
    assert done.stderr.count("\n") == 1
    assert "of an earlier release" in done.stderr


def test_transaction_that_cannot_be_committed_is_rolled_back(world):
    with pytest.raises(sqlite3.IntegrityError), world.store.transaction():
        world.store.run("PRAGMA defer_foreign_keys = ON")
        world.store.run("INSERT INTO principals VALUES ('none', 'pump')")
    with world.store.transaction():
        assert world.store.rows("SELECT * FROM principals") == []


def test_store_and_its_folder_are_the_owners_alone(tmp_path):
    store = Store(State(tmp_path / "lab").database)
    store.remember("presign_secret", "x")
    modes = {file.name: mode(file) for file in (tmp_path / "lab").glob("cloud.db*")}
    store.close()
    assert modes == dict.fromkeys(["cloud.db", "cloud.db-wal", "cloud.db-shm"], "0o600")
    assert mode(tmp_path / "lab") == "0o700"


def test_secret_is_no_moment_readable_by_others(tmp_path, monkeypatch):
    seen, change = [], os.fchmod

    def chmod(descriptor: int, wanted: int) -> None:
        seen.append(oct(S_IMODE(os.fstat(descriptor).st_mode)))
        change(descriptor, wanted)

    monkeypatch.setattr(os, "fchmod", chmod)
    write_atomically(tmp_path / "keys" / "ca.key", "secret", 0o600)
    assert seen == [mode(tmp_path / "keys" / "ca.key")] == ["0o600"]
    assert mode(tmp_path / "keys") == "0o700"


@pytest.mark.parametrize("before", [0o600, 0o644])
@pytest.mark.parametrize("port", [1, 2])
def test_configuration_becomes_its_owners_alone(tmp_path, before, port):
    file = tmp_path / "things/pump/config.json"
    write_atomically(file, json.dumps({"endpoint": "localhost", "port": 1}), before)
    point_at(State(tmp_path), port)
    assert (json.loads(file.read_text())["port"], mode(file)) == (port, "0o600")
    file.write_text("[]")
    with pytest.raises(SluiceError, match="things/pump/config.json is not a JSON object"):
        point_at(State(tmp_path), 3)


def test_configuration_of_another_cloud_becomes_its_owners_alone_too(tmp_path):
    file = tmp_path / "things/pump/config.json"
    write_atomically(file, json.dumps({"endpoint": "192.168.1.20", "port": 1}))
    point_at(State(tmp_path), 2)
    assert (json.loads(file.read_text())["port"], mode(file)) == (1, "0o600")


@pytest.mark.parametrize("umask", [0o022, 0])
def test_files_of_a_cloud_are_its_owners_alone(own_cloud, umask):
    os.umask(umask)
    own_cloud.start()
    own_cloud.client("s3").create_bucket(Bucket="images")
    own_cloud.client("s3").put_object(Bucket="images", Key="a", Body=b"secret")
    files = (file for file in own_cloud.state.root.rglob("*") if file.is_file())
    loose = {file.name for file in files if S_IMODE(file.stat().st_mode) & 0o077}
    assert loose <= {".gitignore", "AmazonRootCA1.pem", "signer.crt", "server.crt", "service.crt"}


@pytest.mark.parametrize("name", ["two\nlisteners", "\udcff"])
def test_folder_that_mosquittos_settings_cannot_name_is_refused(tmp_path, command, name):
    words = ("--port=0", "--http-port=0", "--state", tmp_path / name)
    done = command("cloud", "run", *words)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("sluice: no cloud can run in ")
    assert repr(name)[1:-1] in done.stderr


def test_configuration_of_a_new_thing_is_its_owners_alone(tmp_path, command):
    assert command("thing", "create", "pump", "--state", tmp_path / "lab").returncode == 0
    assert mode(tmp_path / "lab/things/pump/config.json") == "0o600"


def test_ready_line_says_what_boards_reach_and_which_port_was_not_to_be_had(tmp_path):
    here = "cloud ready at mqtts://localhost:1 and http://127.0.0.1:2, state in lab"
    where = Path("lab"), 1, "http://127.0.0.1:2"
    assert ready(*where, "", []) == here
    for boards, name in (("http://10.0.0.5:2", "10.0.0.5"), ("http://[fd00::5]:2", "[fd00::5]")):
        there = f"{here}; boards reach mqtts://{name}:1 and {boards}"
        assert ready(*where, boards, []) == there
        assert ready(*where, boards, [8883]) == f"{there}; port 8883 is in use"
        assert exposed(boards, []) == warned(boards)
        told = "boards that were flashed for port 8883 do not find this cloud"
        assert exposed(boards, [8883]) == f"{warned(boards)}; {told}"


def warned(boards: str) -> str:
    return (
        f"everyone on the network can try {boards} and the MQTT port, and read what goes by HTTP"
    )


def said(cloud):
    """What the cloud has said, less the page's address."""
    return [line for line in cloud.log().splitlines() if not line.startswith("page ")]


def test_cloud_that_listens_says_so_and_warns_in_one_line(listening_cloud):
    about = listening_cloud.state.running()
    ready_line, warning = said(listening_cloud)[:2]
    there = about["http_endpoint"].replace("127.0.0.1", "127.0.0.2")
    assert ready_line.endswith(
        f"; boards reach mqtts://127.0.0.2:{about['mqtt_port']} and {there}"
    )
    assert warning == warned(there)


def test_address_where_the_last_run_listened_is_said_and_not_listened_at(own_cloud):
    own_cloud.start("--port=0", "--http-port=0", "--listen=127.0.0.2")
    own_cloud.stop()
    own_cloud.start("--port=0", "--http-port=0")
    own_cloud.stop()
    told = "the last run listened at 127.0.0.2: give `--listen 127.0.0.2` where boards have that "
    log = own_cloud.state.root.parent / "cloud.log"
    assert log.read_text().count(told) == 1
    own_cloud.start("--port=0", "--http-port=0")
    own_cloud.stop()
    assert log.read_text().count(told) == 1


def test_port_of_the_last_run_that_is_taken_is_said(own_cloud):
    own_cloud.start()
    port = own_cloud.state.running()["http_endpoint"].rpartition(":")[2]
    own_cloud.stop()
    with socket.create_server(("127.0.0.1", int(port))):
        own_cloud.start("--port=0")
        assert said(own_cloud)[-1].endswith(f"; port {port} is in use")


@pytest.mark.parametrize("page", [0, 1])
def test_store_that_is_damaged_is_said_in_one_line(tmp_path, page):
    file = tmp_path / "cloud.db"
    Store(file).close()
    data = bytearray(file.read_bytes())
    data[4096 * page : 4096 * page + 4096] = b"\xff" * 4096
    file.write_bytes(data)
    with pytest.raises(SluiceError, match=f"^{file}: ."), open_store(file) as store:
        store.rows("SELECT * FROM settings")


def test_store_that_cannot_be_opened_is_said_in_one_line(tmp_path):
    with pytest.raises(SluiceError, match="^cannot open .*cloud.db: Is a directory$"):
        (tmp_path / "cloud.db").mkdir()
        Store(tmp_path / "cloud.db")
