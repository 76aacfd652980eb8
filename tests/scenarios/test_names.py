"""Names at full length: 128 characters for a thing, 64 for a job.

AWS takes topics of 256 bytes at most. Those of jobs fit, whatever the names; of a stream with the
longest thing's name, `.../streams/<stream>/description/json` fits up to 90 characters. The names
that AWS's OTA updates give their streams have 44.
"""

import pytest
from stage import Stage, image

SMALL = 180_224  # bytes
THING = ("Thing:_-0123456" * 9)[:128]
JOB = "j-_" * 21 + "x"


@pytest.fixture
def scene(cloud, tmp_path, release):
    made = Stage(cloud, THING, tmp_path)
    made.power_on()
    yield made
    made.board.stop()
    cloud.forget(THING)


def test_update_with_names_at_full_length_works(scene):
    assert (len(THING), len(JOB)) == (128, 64)
    new = image("1.1.0", SMALL)
    order = {"streamname": scene.stream(new, "s" * 90)}
    assert scene.verdict(scene.job(scene.document(new, order), JOB)).status == "SUCCEEDED"
    assert scene.running == ("ota_1", "1.1.0")
    assert scene.verdict(scene.deploy(image("1.2.0", SMALL))).status == "SUCCEEDED"


def test_stream_whose_topics_are_too_long_is_refused_in_one_line(scene):
    new = image("1.1.0", SMALL)
    order = {"streamname": scene.stream(new, "s" * 91)}
    verdict = scene.verdict(scene.job(scene.document(new, order)), 20)
    assert verdict.status in ("REJECTED", "FAILED")
    assert "stream" in verdict.reason
    assert scene.running == ("ota_0", "1.0.0")


def test_names_of_one_character_work(cloud, tmp_path, release):
    scene = Stage(cloud, "t", tmp_path)
    try:
        scene.power_on()
        new = image("1.1.0", SMALL)
        job = scene.job(scene.document(new, {"streamname": scene.stream(new, "s")}), "j")
        assert scene.verdict(job).status == "SUCCEEDED", scene.tail
    finally:
        scene.board.stop()
