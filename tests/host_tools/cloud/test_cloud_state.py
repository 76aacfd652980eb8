"""The state folder: whether a cloud runs there, and who may read what it holds."""

import threading
from fcntl import LOCK_SH, flock

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
