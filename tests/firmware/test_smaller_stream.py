"""Containers by a stream: whatever a server loses, doubles or mixes up, the image is right."""

from random import getrandbits, seed

from doubles import run
from test_container import Made
from test_mqtt_stream import SERVERS, made

from sluice import log

HEAP = "8m"
NAMES = ("delta", "compressed")


def fetched(name, server, block, window, **ways):
    """The Made container, once the stream has filled it."""
    aim = Made(name, block=min(block, 4_096), **ways)
    stream, _, _, link = made(server, block, window)

    async def watch():
        await aim.container.settle(aim.pause)

    log.level("E")
    try:
        run(stream.fetch(aim.container, watch))
        run(watch())
        run(stream.close())
    finally:
        log.level("I")
    assert link.held() is False
    return aim


def data(name):
    return Made(name).data


def test_container_arrives_at_any_block_and_window_and_order_of_keys():
    for kind in SERVERS:
        for name in NAMES:
            for order in ("cfilp", "pcfil", "lipfc"):
                for block, window in ((256, 4_096), (1_024, 131_072), (4_096, 262_144)):
                    server = kind(data(name), order=order)
                    assert fetched(name, server, block, window).holds(), (name, order, block)


def test_each_block_is_asked_for_once_where_none_is_lost():
    for kind in SERVERS:
        for name in NAMES:
            server = kind(data(name))
            assert fetched(name, server, 512, 65_536).holds()
            asked = sum(count for _, count in server.gets)
            assert asked == -(-len(server.data) // 512), (name, asked)


def test_container_arrives_though_blocks_are_lost_doubled_late_damaged_or_of_others():
    seed(3)

    def fault(messages):
        found, late = [], []
        for topic, payload in messages:
            lot = getrandbits(6)
            if lot == 0:
                continue
            if lot == 1:
                late.append((topic, payload))
                continue
            if lot == 2:
                found.append((topic, payload[:-20]))
            if lot == 3:
                found.append((topic, payload.replace(b"sluice-", b"theirs-")))
            if lot == 4:
                found.append((topic, payload))
            found.append((topic, payload))
        return found + late

    for kind in SERVERS:
        for name in NAMES:
            for order in ("cfilp", "pcfil"):
                server = kind(data(name), order=order, fault=fault)
                assert fetched(name, server, 256, 16_384).holds(), (name, order)


def test_download_that_goes_on_asks_for_the_index_and_for_what_is_missing():
    for kind in SERVERS:
        for name in NAMES:
            before = Made(name)
            while before.image.received < 6 * 4_096:
                before.bring(before.container.missing() // 256 * 256, 256)
            server = kind(data(name))
            aim = fetched(
                name, server, 256, 65_536, written=before.image.sectors(), flash=before.flash
            )
            assert aim.holds()
            asked = [first for first, _ in server.gets]
            assert asked[0] == 0 and sum(count for _, count in server.gets) == (
                1 + -(-len(server.data) // 256) - asked[1]
            ), (name, server.gets)
