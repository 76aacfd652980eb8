"""An update from the job to SUCCEEDED, byte for byte, at all sizes of blocks, windows and images."""

import pytest
from stage import HEAP, SIZE, SLOT, image


@pytest.mark.parametrize(("block", "window"), [(256, 512), (4096, 8), (16_384, 8), (98_304, 1)])
def test_update_of_full_size_at_a_block_size_arrives_byte_for_byte(
    cloud, stage, spy, block, window
):
    scene = stage(cloud, block=block, window=window)
    new = image("1.1.0", SIZE)
    ears = spy(scene)
    board = scene.power_on()
    job = scene.deploy(new)
    verdict = scene.verdict(job)
    assert (verdict.status, verdict.reason) == ("SUCCEEDED", "accepted v1.1.0")
    assert scene.running == ("ota_1", "1.1.0")
    assert board.slot_bytes("ota_1", SIZE) == new
    assert set(ears.blocks) == set(range(-(-SIZE // block)))
    assert scene.trials == 1
