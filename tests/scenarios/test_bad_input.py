"""What must not be: refused in one clear line, with nothing lost. On the board and on the host."""

import json
import re
import zlib

import pytest
from stage import SIZE, SLOT, Stage, image, soon
from typed import complaint, good, sluice

from sluice.device import provision

SMALL = 180_224  # bytes
GOOD = image("1.1.0", SMALL)


def refused(scene: Stage, job: str, status: str) -> str:
    """The reason, of one line; the board runs what it ran, and does the next job."""
    verdict = scene.verdict(job)
    assert verdict.status == status, (verdict, scene.tail)
    assert verdict.reason
    assert verdict.reason.isprintable()
    assert scene.running == ("ota_0", "1.0.0")
    assert scene.trials == 0
    assert not [line for line in scene.board.lines if line.startswith("reset: ")]
    assert scene.verdict(scene.deploy(image("1.9.0", SMALL))).status == "SUCCEEDED"
    return verdict.reason


# --- images -------------------------------------------------------------------------------------

LOADER = b"\xff" * 4096 + GOOD  # what flash holds from 0 on, and a "merged" firmware.bin
# fmt: off
WRONG = {  # a file that is no image for this board → words of the reason
    "other_chip":  (image("1.1.0", SMALL, chip="esp32c3"), "wrong chip"),
    "merged":      (LOADER,                                "not an app image"),
    "text":        (b"#!/bin/sh\n" * 5000,                 "not an app image"),
    "zeros":       (bytes(SMALL),                          "not an app image"),
    "one_byte":    (b"\xe9",                               "not an app image"),
}
# fmt: on


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("block", [512, 4096, 16_384])
def test_wrong_image_is_refused_within_one_block(cloud, stage, spy, kind, block):
    content, words = WRONG[kind]
    scene = stage(cloud, block=block)
    ears = spy(scene)
    board = scene.power_on()
    before = board.slot_bytes("ota_1")
    job = scene.deploy(content, "--any")
    assert scene.verdict(job).status == "FAILED"
    assert soon(lambda: ears.blocks) == {0: 1}
    assert board.slot_bytes("ota_1") == before
    assert words in refused(scene, job, "FAILED")


def test_image_larger_than_the_slot_is_rejected_before_a_block(cloud, stage, spy):
    scene = stage(cloud)
    ears = spy(scene)
    scene.power_on()
    job = scene.deploy(image("1.1.0", SLOT + 1))
    assert scene.verdict(job).status == "REJECTED"
    assert not ears.blocks
    assert "larger than the slot" in refused(scene, job, "REJECTED")


def test_image_whose_header_wants_more_than_the_file_is_refused(cloud, stage):
    scene = stage(cloud)
    scene.power_on()
    assert refused(scene, scene.deploy(image("1.1.0", SIZE)[:100_000], "--any"), "FAILED")


# --- signatures ---------------------------------------------------------------------------------


def test_corrupt_image_is_refused_by_its_signature(cloud, stage):
    scene = stage(cloud)
    scene.power_on()
    corrupt = GOOD[:90_000] + bytes([GOOD[90_000] ^ 1]) + GOOD[90_001:]
    document = scene.document(corrupt, sig_sha256_ecdsa=scene.signature(GOOD))
    assert "signature" in refused(scene, scene.job(document), "FAILED")


def test_image_signed_by_a_stranger_is_refused(cloud, stage, tmp_path):
    scene = stage(cloud)
    scene.power_on()
    signature = good("sign", scene.file(GOOD), "--key", tmp_path / "stranger.key", "--new-key")
    document = scene.document(GOOD, sig_sha256_ecdsa=signature.strip())
    assert "signature" in refused(scene, scene.job(document), "FAILED")


# fmt: off
SIGNATURES = {  # changes to the document's file → status, words of the reason
    "missing":          ({"sig-sha256-ecdsa": None},              "REJECTED", "no signature"),
    "empty":            ({"sig-sha256-ecdsa": ""},                "REJECTED", "no signature"),
    "no_base64":        ({"sig-sha256-ecdsa": "?" * 96},          "REJECTED", "base64"),
    "no_der":           ({"sig-sha256-ecdsa": "AAAA" * 24},       "FAILED",   "signature"),
    "number":           ({"sig-sha256-ecdsa": 7},                 "REJECTED", "sig-sha256-ecdsa"),
    "only_sha1":        ({"sig-sha256-ecdsa": None, "sig-sha1-rsa": "AAAA"}, "REJECTED", "no signature"),  # noqa: E501
}
# fmt: on


@pytest.mark.parametrize("kind", SIGNATURES)
def test_signature_of_no_use_is_refused(cloud, stage, kind):
    changes, status, words = SIGNATURES[kind]
    scene = stage(cloud)
    scene.power_on()
    document = scene.document(GOOD)
    [file] = document["afr_ota"]["files"]
    file |= changes
    assert words in refused(scene, scene.job(document), status)


@pytest.mark.parametrize("kept", [1, 50, 95])
def test_signature_cut_off_in_its_base64_is_refused(cloud, stage, kept):
    scene = stage(cloud)
    scene.power_on()
    document = scene.document(GOOD, sig_sha256_ecdsa=scene.signature(GOOD)[:kept])
    assert "base64" in refused(scene, scene.job(document), "REJECTED")


@pytest.mark.parametrize("certfile", ["nobody.crt", "../../etc/passwd", "/", "", None])
def test_signer_that_is_not_known_leaves_those_that_are(cloud, stage, certfile):
    scene = stage(cloud)
    scene.power_on()
    job = scene.job(scene.document(GOOD, certfile=certfile))
    assert scene.verdict(job).status == "SUCCEEDED"


def test_signer_that_is_on_the_board_but_not_configured_is_never_used(cloud, stage, tmp_path):
    scene = stage(cloud)
    key = tmp_path / "rogue.key"
    signature = good("sign", scene.file(GOOD), "--key", key, "--new-key").strip()
    (scene.files / "rogue.crt").write_bytes(key.with_suffix(".crt").read_bytes())
    scene.power_on()
    document = scene.document(GOOD, sig_sha256_ecdsa=signature, certfile="/rogue.crt")
    assert "signature" in refused(scene, scene.job(document), "FAILED")


def test_unsigned_image_is_taken_where_that_is_configured(cloud, stage):
    scene = stage(cloud, allow_unsigned=True)
    scene.power_on()
    job = scene.job(scene.document(GOOD, sig_sha256_ecdsa=None))
    assert scene.verdict(job).status == "SUCCEEDED"
    assert scene.running == ("ota_1", "1.1.0")


def test_board_without_a_signer_rejects_what_it_cannot_prove(cloud, stage):
    scene = stage(cloud, signers=[])
    scene.power_on()
    verdict = scene.verdict(scene.deploy(GOOD))
    assert (verdict.status, verdict.reason) == ("REJECTED", "no signer on the board")


# --- documents and streams ----------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [SMALL - 1, SMALL + 1, 1, SMALL + 4096])
def test_filesize_that_is_not_the_streams_is_refused(cloud, stage, spy, wrong):
    scene = stage(cloud)
    ears = spy(scene)
    scene.power_on()
    before = scene.board.slot_bytes("ota_1")
    job = scene.job(scene.document(GOOD, filesize=wrong))
    assert scene.verdict(job).status == "FAILED"
    assert set(ears.blocks) <= {0}, "it may come with the description"
    assert scene.board.slot_bytes("ota_1") == before
    assert "size" in refused(scene, job, "FAILED")


# fmt: off
DOCUMENTS = {  # changes to the only file of the document → word of the reason
    "size_missing":  ({"filesize": None},         "filesize"),
    "size_text":     ({"filesize": "131072"},     "filesize"),
    "size_negative": ({"filesize": -1},           "filesize"),
    "size_true":     ({"filesize": True},         "filesize"),
    "size_huge":     ({"filesize": 10**18},       "filesize"),
    "file_id":       ({"fileid": 256},            "fileid"),
    "file_type":     ({"fileType": 256},          "fileType"),
}
# fmt: on


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_document_that_misstates_its_file_is_rejected(cloud, stage, kind):
    changes, words = DOCUMENTS[kind]
    scene = stage(cloud)
    scene.power_on()
    assert words in refused(scene, scene.job(scene.document(GOOD, **changes)), "REJECTED")


def test_document_for_another_protocol_is_rejected(cloud, stage):
    scene = stage(cloud)
    scene.power_on()
    job = scene.job(scene.document(GOOD, {"protocols": ["CARRIER PIGEON"]}))
    assert "neither mqtt nor http" in refused(scene, job, "REJECTED")


def test_stream_that_vanished_fails_the_job(cloud, stage):
    scene = stage(cloud)
    document = scene.document(GOOD)
    job = scene.job(document)
    cloud.calls.iot.delete_stream(streamId=document["afr_ota"]["streamname"])
    scene.power_on()
    assert "ResourceNotFound" in refused(scene, job, "FAILED")


def test_stream_that_vanishes_in_mid_download_fails_the_job(own_cloud, stage):
    scene = stage(own_cloud.start({"delay": {"topic": "/data/", "ms": 10}}))
    board = scene.power_on()
    document = scene.document(image("1.1.0", SIZE))
    job = scene.job(document)
    board.wait_for("update progress")
    own_cloud.calls.iot.delete_stream(streamId=document["afr_ota"]["streamname"])
    assert "ResourceNotFound" in refused(scene, job, "FAILED")


def test_stream_without_the_file_fails_the_job(cloud, stage):
    scene = stage(cloud)
    scene.power_on()
    assert refused(scene, scene.job(scene.document(GOOD, fileid=3)), "FAILED")


def test_image_that_a_job_brings_as_a_file_fails_and_is_not_stored(cloud, stage):
    """It would lie there as a file, and the job would have SUCCEEDED with the old firmware."""
    scene = stage(cloud)
    scene.power_on()
    document = scene.document(GOOD, fileType=1, filepath="/app.bin")
    said = refused(scene, scene.job(document), "FAILED")
    assert said == "an app image must be of fileType 0 /app.bin"


def test_delta_whose_path_names_no_image_is_refused(cloud, stage):
    scene = stage(cloud)
    scene.power_on()
    said = refused(scene, scene.job(scene.document(GOOD, fileType=202)), "REJECTED")
    assert said == "not the path of a delta app.bin"


# --- what flash holds ---------------------------------------------------------------------------


RECORD = {"seq": 9, "job": "x", "number": 1, "stamp": 1, "phase": "owing", "step": "failed"}
RECORDS = {
    "step": RECORD | {"step": "zzz"},
    "step_list": RECORD | {"step": ["failed"]},
    "reason": RECORD | {"reason": 5},
    "job": RECORD | {"job": None},
    "written": RECORD | {"phase": "downloading", "written": True, "slot": "ota_1", "image": "1"},
    "large": RECORD | {"more": "x" * 100_000},
}


@pytest.mark.parametrize("kind", RECORDS)
def test_journal_record_that_is_strange_costs_no_more_than_what_it_held(cloud, stage, kind):
    scene = stage(cloud, shadow="classic")
    scene.board.make()
    body = json.dumps(RECORDS[kind]).encode()
    with provision.mounted(scene.board.chip, scene.board.table) as files:
        for name in ("/journal.0", "/journal.1"):
            with files.open(name, "wb") as file:
                file.write(b"%08x" % zlib.crc32(body) + body)
    scene.power_on()
    assert scene.verdict(scene.job({"operation": "echo", "text": "here"})).status == "SUCCEEDED"
    assert len(scene.starts) == 1


def test_text_of_a_job_forges_no_line_of_the_log_and_moves_no_terminal(cloud, stage):
    scene = stage(cloud)
    board = scene.power_on()
    job = scene.job({"operation": "echo", "text": "a\r\nE 1 main forged\x1b[2J\x9b1m\u202e"})
    assert scene.verdict(job).status == "SUCCEEDED"
    (line,) = [line for line in board.lines if "echo says" in line]
    assert line.endswith(r"a\x0d\x0aE 1 main forged\x1b[2J\xc2\x9b1m\xe2\x80\xae")
    assert not [line for line in board.lines if line.startswith("E 1 ")]


# --- versions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "setting", "words"),
    [
        ("1.0.0", "allow_same_version", "same version"),
        ("0.9.9", "allow_downgrade", "downgrade"),
        ("1.0.0-rc1", "allow_downgrade", "downgrade"),
        ("dev-build", "allow_downgrade", "version cannot be compared"),
    ],
)
def test_version_that_is_no_progress_is_refused_unless_configured(
    cloud, stage, spy, version, setting, words
):
    new = image(version, SMALL)
    scene = stage(cloud)
    ears = spy(scene)
    scene.power_on()
    job = scene.deploy(new)
    assert scene.verdict(job).status == "FAILED"
    assert soon(lambda: ears.blocks) == {0: 1}
    assert words in refused(scene, job, "FAILED")
    other = stage(cloud, **{setting: True})
    other.power_on()
    assert other.verdict(other.deploy(new)).status == "SUCCEEDED"
    assert other.running == ("ota_1", version)


# --- credentials and configuration --------------------------------------------------------------


def test_certificate_of_another_authority_is_refused_by_the_broker(cloud, own_cloud, stage):
    scene = stage(cloud)
    stranger = stage(own_cloud.start())
    for name in ("certificate.pem.crt", "private.pem.key"):
        (scene.files / name).write_bytes((stranger.files / name).read_bytes())
    scene.board.start()
    line = scene.board.wait_for("attempt failed: .*").string
    assert "Refused" in line


def test_broker_of_another_authority_is_not_believed(cloud, own_cloud, stage):
    scene = stage(cloud)
    stranger = stage(own_cloud.start())
    ca = (stranger.files / "AmazonRootCA1.pem").read_bytes()
    (scene.files / "AmazonRootCA1.pem").write_bytes(ca)
    scene.board.start()
    assert "Untrusted" in scene.board.wait_for("attempt failed: .*").string


@pytest.mark.parametrize("key", ["ca", "certificate", "private_key"])
def test_missing_credentials_are_said_in_one_line(cloud, stage, key):
    scene = stage(cloud, **{key: "gone.pem"})
    assert "gone.pem" in cannot_start(scene)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("AmazonRootCA1.pem", "ca"),
        ("certificate.pem.crt", "certificate"),
        ("private.pem.key", "private_key"),
    ],
)
def test_credentials_of_no_sense_are_said_in_one_line(cloud, stage, name, words):
    scene = stage(cloud)
    (scene.files / name).write_text("-----BEGIN NONSENSE-----\n")
    line = cannot_start(scene)
    assert "bad credentials" in line
    assert words in line


def cannot_start(scene: Stage) -> str:
    """The line that says why; it must be the only one. The board is going to try again."""
    board = scene.board.start()
    line = board.wait_for("cannot start: .*").string
    board.wait_for("^The board starts again in 10 s")
    said = [text for text in board.lines if re.match(r"[EW] |Traceback|  ", text)]
    assert said == [line]
    board.stop()
    return line


# fmt: off
CONFIGS = {  # the board's /config.json → words of its line
    "cut_off":     ('{"thing": "x"',                   "not JSON"),
    "list":        ("[]",                              "not a JSON object"),
    "no_thing":    ('{"endpoint": "localhost"}',       "lacks thing"),
}
# fmt: on


@pytest.mark.parametrize("kind", CONFIGS)
def test_config_of_no_use_is_said_in_one_line(cloud, stage, kind):
    text, words = CONFIGS[kind]
    scene = stage(cloud)
    scene.board.make()
    scene.board.write_file("/config.json", text.encode())
    assert words in cannot_start(scene)


def test_config_that_misstates_a_key_is_said_in_a_line_for_each_and_the_board_works(cloud, stage):
    wrong = {  # key → what is wrong with it, and the words of its line
        "block": (1000, "block is neither a multiple nor a divisor of 4096"),
        "window": (8, "window is out of bounds"),
        "poll_s": ("900", "poll_s is not of type int"),
        "dialect": ("klingon", "dialect klingon is not one of"),
        "signers": ("signer.crt", "signers is not of type list"),
    }
    scene = stage(cloud, **{key: value for key, (value, _) in wrong.items()})
    board = scene.power_on()
    said = [line for line in board.lines if line[:2] in ("W ", "E ")]
    assert len(said) == len(wrong), said
    for _, words in wrong.values():
        assert sum(bool(re.match(f"W [0-9]+ config config: {words}", line)) for line in said) == 1
    verdict = scene.verdict(scene.deploy(GOOD))
    assert (verdict.status, verdict.reason) == ("REJECTED", "no signer on the board")


def test_board_repaired_after_a_bad_config_works(cloud, stage):
    scene = stage(cloud, ca="gone.pem")
    cannot_start(scene)
    scene.configure(ca="AmazonRootCA1.pem")
    scene.power_on()
    assert scene.verdict(scene.deploy(GOOD)).status == "SUCCEEDED"


# --- on the host --------------------------------------------------------------------------------


def test_host_refuses_what_is_not_there_in_one_line(cloud, tmp_path):
    state = ("--state", cloud.state.root)
    file, document = tmp_path / "app.bin", tmp_path / "job.json"
    file.write_bytes(GOOD)
    document.write_text("{}")
    assert "unknown thing ghost" in complaint("deploy", file, "--thing", "ghost", *state)
    line = ("job", "create", "--thing", "ghost", "--document", document, *state)
    assert "unknown thing ghost" in complaint(*line)
    assert "unknown job ghost" in complaint("job", "show", "ghost", *state)
    assert "unknown job ghost" in complaint("job", "cancel", "ghost", *state)
    assert "no thing ghost" in complaint("device", "run", "ghost", *state)


@pytest.mark.parametrize("text", ["{", "[]", "", "\x00"])
def test_host_refuses_to_run_a_board_whose_config_is_not_json(cloud, stage, text):
    scene = stage(cloud)
    (scene.files / "config.json").write_text(text)
    assert "config.json" in complaint("device", "run", scene.name, "--state", scene.root)


def test_deploy_wait_ends_with_the_boards_own_reason(cloud, stage):
    scene = stage(cloud)
    scene.power_on()
    wrong = scene.file(image("1.1.0", SMALL, chip="esp32c3"))
    line = ("deploy", wrong, "--thing", scene.name, "--state", scene.root, "--wait")
    done = sluice(*line)
    assert done.returncode == 1
    assert "FAILED" in done.stderr.splitlines()[-1]
    assert "wrong chip" in done.stderr.splitlines()[-1]


def test_second_board_of_a_thing_is_refused(cloud, stage):
    scene = stage(cloud)
    scene.power_on()
    line = ("device", "run", scene.name, "--state", scene.root)
    assert "is running already" in complaint(*line)
    assert scene.board.alive


def test_job_of_a_board_that_is_off_waits_for_it(cloud, stage):
    scene = stage(cloud)
    job = scene.deploy(GOOD)
    assert scene.now(job).status == "QUEUED"
    scene.board.start()
    assert scene.verdict(job).status == "SUCCEEDED"
