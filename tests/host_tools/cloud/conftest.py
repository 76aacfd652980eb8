"""A cloud without broker and clock for protocol tests, and the real one for the rest."""

import json
from pathlib import Path

import pytest
from cloud_process import Device, RunningCloud
from cloud_world import World
from patience import FUSE_S
from typed import sluice


@pytest.fixture
def world(tmp_path: Path):
    made = World(tmp_path / "state")
    yield made
    made.store.close()


@pytest.fixture
def command():
    """`sluice …` as a function."""
    return sluice


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory):
    """One cloud for all tests that only add to it; each uses things of its own name."""
    made = RunningCloud(tmp_path_factory.mktemp("cloud") / "state", "--port=0", "--http-port=0")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def own_cloud(tmp_path: Path):
    """A cloud that the test may kill; it is not started yet."""
    made = RunningCloud(tmp_path / "state", "--port=0", "--http-port=0")
    yield made
    made.stop()


@pytest.fixture(scope="session")
def listening_cloud(tmp_path_factory: pytest.TempPathFactory):
    """A cloud that listens at one address more, which nobody ends."""
    words = ("--port=0", "--http-port=0", "--listen=127.0.0.2")
    made = RunningCloud(tmp_path_factory.mktemp("listening") / "state", *words)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def device():
    """A function: (cloud, thing) → a connected Device that listens; closed at the end."""
    made: list[Device] = []

    def connect(cloud: RunningCloud, thing: str, listen: bool = True, **more: str) -> Device:
        made.append(Device(cloud.state.thing(cloud.thing(thing)), **more))
        return made[-1].listen() if listen else made[-1]

    yield connect
    for one in made:
        one.close()


@pytest.fixture
def connection(cloud, request):
    """A connection of AWS's device SDK as a thing of the test's own name, and that name."""
    from awsiot import mqtt_connection_builder  # slow: for the tests that need it

    name = "sdk-" + request.node.name.rsplit("_", 1)[-1]
    files = cloud.state.thing(cloud.thing(name))
    config = json.loads((files / "config.json").read_text())
    made = mqtt_connection_builder.mtls_from_path(
        endpoint=config["endpoint"],
        port=config["port"],
        ca_filepath=str(files / config["ca"]),
        cert_filepath=str(files / config["certificate"]),
        pri_key_filepath=str(files / config["private_key"]),
        client_id=name,
        clean_session=True,
        keep_alive_secs=30,
    )
    assert made.connect().result(FUSE_S) == {"session_present": False}
    yield made, name
    made.disconnect().result(FUSE_S)
