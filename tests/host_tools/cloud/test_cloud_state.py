"""The state folder: whether a cloud runs there, who may read what it holds, its store."""

import sqlite3
import threading
from fcntl import LOCK_SH, flock

import pytest

from host_tools.cloud.state import State


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
