"""A cloud that is far away: the link is kept full, and what is late is not asked for twice."""

from collections.abc import Iterator

import pytest
from stage import image, soon
from test_interruption import through

from bench.far import FarRelay

SIZE = 600_000  # bytes: more than are out at a time
BLOCK = 4_096
TRIP_S = 1.2  # seconds of a round trip: more than the least patience


@pytest.fixture
def relays() -> Iterator[list]:
    """What is closed afterwards."""
    made: list = []
    yield made
    for relay in made:
        relay.close()


def asked(ears) -> list[tuple[int, int]]:
    """(first, count) of every request for blocks."""
    return [(body["o"], body["n"]) for topic, body in ears.heard if "/get/" in topic]


def test_download_from_afar_asks_for_each_block_once(cloud, stage, spy, relays):
    scene = stage(cloud)
    ears = spy(scene)
    relays.append(FarRelay(cloud.state.running()["mqtt_port"], TRIP_S))
    through(scene, relays[0].port)
    scene.power_on()
    scene.deploy(image("1.1.0", SIZE))
    scene.board.wait_for("agent DOWNLOADING complete")
    total = -(-SIZE // BLOCK)
    assert sum(count for _, count in asked(ears)) == total
    assert asked(ears)[0] == (0, 1)


def test_download_has_four_requests_out_before_any_of_them_is_answered(faulty, stage, spy):
    scene = stage(faulty(silence={"topic": "/get/", "skip": 1}))
    ears = spy(scene)
    scene.power_on()
    scene.deploy(image("1.1.0", SIZE))
    soon(lambda: len(asked(ears)) >= 5)
    assert asked(ears)[:5] == [(0, 1), (1, 16), (17, 16), (33, 16), (49, 16)]
    assert set(ears.blocks) == {0}
