"""The state folder: whether a cloud runs there, who may read what it holds, its store."""

import json
import os
import sqlite3
import threading
from fcntl import LOCK_SH, flock
from stat import S_IMODE

import pytest

from host_tools.cloud.run import point_at
from host_tools.cloud.state import State, write_atomically
from host_tools.cloud.store import Store, open_store
from host_tools.errors import SluiceError


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


def test_configuration_pointed_at_another_port_keeps_its_mode(tmp_path):
    file = tmp_path / "things/pump/config.json"
    write_atomically(file, json.dumps({"endpoint": "localhost", "port": 1}), 0o600)
    point_at(State(tmp_path), 2)
    assert (json.loads(file.read_text())["port"], mode(file)) == (2, "0o600")
    file.write_text("[]")
    with pytest.raises(SluiceError, match="things/pump/config.json is not a JSON object"):
        point_at(State(tmp_path), 3)


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
