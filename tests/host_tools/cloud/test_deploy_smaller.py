"""`sluice deploy --from --compress`: what a job brings then, to whom, and what is refused."""

import base64
import hashlib
import json
import random

import pytest
from conftest import Device
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from patience import FUSE_S
from test_deploy import ROLE, behave
from test_provision import calls, good, refused
from typed import sluice
from wrapped import packed

from sluice.bundle import make
from sluice.cloud.store import open_store
from sluice.errors import SluiceError
from sluice.fleet import document
from sluice.fleet.clients import Clients
from sluice.image import pack_image, smaller

NOISE = random.Random(3).randbytes(20_000)
WORDS = b"".join(b"%d: the same procedure as every year\n" % n for n in range(300))


def image(version: str, chip: str = "esp32", content: bytes = NOISE + WORDS) -> bytes:
    return pack_image(version, {"app.mpy": content}, chip=chip)


NEW, OLD, OLDER = image("1.2.0"), image("1.1.0"), image("1.0.0", content=WORDS + NOISE)


def name_of(source: bytes) -> str:
    return f"/ota/{hashlib.sha256(source).hexdigest()}.{len(source)}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """With a new image, two older ones, and an application."""
    for name, data in (("new.bin", NEW), ("old.bin", OLD), ("older.bin", OLDER)):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "app.py").write_text("async def healthy():\n    return True\n")
    (tmp_path / "app.bundle").write_bytes(make.application(tmp_path / "app.py", "1.3.0"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def deploy(cloud):
    """A function: options → what `sluice deploy` to a thing of the local cloud comes to."""

    def run(thing: str, *words: object):
        line = ("--thing", cloud.thing(thing), "--state", cloud.state.root)
        return sluice("deploy", *words, *line)

    return run


def document_of(cloud, job: str) -> dict:
    return json.loads(cloud.client("iot").get_job_document(jobId=job)["document"])["afr_ota"]


def brought(cloud, ota: dict) -> list[bytes]:
    """The files of a job, as its stream has them."""
    stream = cloud.client("iot").describe_stream(streamId=ota["streamname"])["streamInfo"]
    s3, found = cloud.client("s3"), []
    for file in stream["files"]:
        where = file["s3Location"]
        words = {"Bucket": where["bucket"], "Key": where["key"]}
        if "version" in where:
            words["VersionId"] = where["version"]
        found.append(s3.get_object(**words)["Body"].read())
    return found


ALL = ("new.bin", "--from", "old.bin", "--from", "older.bin", "--compress")


def test_job_brings_the_image_first_then_smaller_ones_then_the_rest(cloud, folder, deploy):
    more = ("app.bundle", "--file", "app.py=/data/x")
    done = deploy("several", *ALL, *more)
    ota = document_of(cloud, good(done).strip())
    assert [(file["filepath"], file.get("fileType")) for file in ota["files"]] == [
        ("new.bin", None),
        (name_of(OLD), 202),
        (name_of(OLDER), 202),
        ("/ota/compressed", 203),
        ("app.bundle", 200),
        ("/data/x", 1),
    ]
    data = brought(cloud, ota)
    assert [len(one) for one in data] == [file["filesize"] for file in ota["files"]]
    assert data[0] == NEW
    assert smaller.applied(data[1], OLD) == smaller.applied(data[2], OLDER) == NEW
    assert smaller.applied(data[3]) == NEW
    sizes = [(f"{len(one):,}", f"{100 * len(one) / len(NEW):.1f}") for one in data[1:4]]
    assert done.stderr.splitlines() == [
        f"{title}: {size} bytes, {percent} % of the image"
        for title, (size, percent) in zip(
            ("delta from old.bin", "delta from older.bin", "compressed"), sizes, strict=True
        )
    ]


def test_image_is_signed_once_and_nothing_smaller_is(cloud, folder, deploy):
    ota = document_of(cloud, good(deploy("once", *ALL)).strip())
    first, *rest = ota["files"]
    signer = x509.load_pem_x509_certificate(cloud.state.signer_certificate.read_bytes())
    signature = base64.b64decode(first["sig-sha256-ecdsa"])
    signer.public_key().verify(signature, NEW, ec.ECDSA(hashes.SHA256()))
    assert len(rest) == 3
    assert not [key for file in rest for key in file if key.startswith("sig-")]


def test_stream_and_job_carry_smaller_ones_as_an_update_does(cloud, folder, deploy):
    documents = []
    for more in ((), ("--retries", 1), ("--schedule", "+02:00/+05:00", "--at-end", "CANCEL")):
        for protocol in ("mqtt", "http"):
            done = deploy("alike", *ALL, "--protocol", protocol, *more)
            ota = document_of(cloud, good(done).strip())
            assert len(brought(cloud, ota)) == 4
            del ota["streamname"]
            for file in ota["files"]:
                address = file.pop("update_data_url", None)
                assert (address is not None) == (protocol == "http")
                file.pop("sig-sha256-ecdsa", None)  # another one each time
            documents.append(ota)
    assert documents[0] == documents[2] == documents[4]
    assert documents[1] == documents[3] == documents[5]
    assert set(documents[0]["files"][1]) == {
        "filepath", "filesize", "fileid", "certfile", "fileType",
    }  # fmt: skip


def test_update_tells_of_its_files_as_they_were_given(cloud, folder, deploy):
    job = good(deploy("told", *ALL)).strip()
    iot = cloud.client("iot")
    about = iot.get_ota_update(otaUpdateId=job.removeprefix("AFR_OTA-"))["otaUpdateInfo"]
    files = about["otaUpdateFiles"]
    assert ["codeSigning" in file for file in files] == [True, False, False, False]
    assert [file.get("fileType") for file in files] == [None, 202, 202, 203]


def test_board_that_succeeds_ends_the_wait(cloud, device, folder):
    board: Device = device(cloud, "waited")
    behave(board, ("SUCCEEDED", "accepted v1.2.0"))
    line = ("deploy", *ALL, "--thing", "waited", "--state", cloud.state.root, "--wait")
    done = sluice(*line, "--timeout", FUSE_S)
    assert good(done).splitlines()[1:] == ["SUCCEEDED accepted v1.2.0"]


def test_container_that_is_not_smaller_is_left_out_and_said_to_be(cloud, folder, deploy):
    noise = [random.Random(n).randbytes(200_000) for n in range(2)]
    for name, content in zip(("new.bin", "old.bin"), noise, strict=True):
        (folder / name).write_bytes(image("1.0.0", content=content))
    done = deploy("noisy", "new.bin", "--from", "old.bin", "--compress")
    [file] = document_of(cloud, good(done).strip())["files"]
    assert "fileType" not in file
    first, second = done.stderr.splitlines()
    assert first.startswith("delta from old.bin: 20") and second.startswith("compressed: 20")
    for line in (first, second):
        assert line.endswith(" bytes, not smaller than the image: left out")


def test_compressed_images_of_the_vendor_are_taken_plain(cloud, folder, deploy):
    new, old = image("1.2.0", "w800"), image("1.1.0", "w800")
    (folder / "new.img").write_bytes(packed(new))
    (folder / "old.img").write_bytes(packed(old))
    job = good(deploy("packed", "new.img", "--from", "old.img", "--compress")).strip()
    ota = document_of(cloud, job)
    data = brought(cloud, ota)
    assert ota["files"][1]["filepath"] == name_of(old)
    assert data[0] == new == smaller.applied(data[1], old) == smaller.applied(data[2])


def test_aws_signer_signs_the_image_and_nothing_smaller(cloud, folder):
    aws = ("--aws", "--bucket", "some-bucket", "--role", ROLE, "--signer-profile", "mine")
    done = sluice("deploy", *ALL, "--thing", "some", *aws, "--dry-run")
    files = dict(calls(good(done)))["iot.CreateOTAUpdate"]["files"]
    assert ["codeSigning" in file for file in files] == [True, False, False, False]
    assert "startSigningJobParameter" in files[0]["codeSigning"]


# --- what is refused -----------------------------------------------------------------------------


# fmt: off
REFUSED = [
    (("app.bundle", "--from", "old.bin"), "--from and --compress are for an image, and you"),
    (("app.py", "--version", "1", "--compress"), "--from and --compress are for an image"),
    (("new.bin", "--from", "s3.bin"), "--from s3.bin: it is for esp32s3, and the image for esp32"),
    (("new.bin", "--from", "w.bin"), "--from w.bin: it is for w800, and the image for esp32"),
    (("new.bin", "--from", "cut.bin"), "--from cut.bin: the image is bad: truncated (--any takes"),
    (("new.bin", "--from", "app.bundle"), "--from app.bundle: not an app image"),
    (("new.bin", "--from", "made"), "--from made: it is a delta or a compressed image: give the"),
    (("made",), "made: it is a delta or a compressed image: give the full image (--any"),
    (("new.bin", "--from", "none"), "cannot read the image none: No such file"),
    (("new.bin", "--from", "new.bin"), "--from new.bin: it is the same as the image to deploy"),
    (("new.bin", "--from", "old.bin", "--from", "copy.bin"), "copy.bin: it is the same as"),
    (("new.bin", "--from", "old.bin", "--from", "old.bin"), "old.bin: it is the same as old.bin"),
]
# fmt: on


@pytest.mark.parametrize(("words", "said"), REFUSED)
def test_older_image_of_no_use_is_refused(folder, deploy, words, said):
    (folder / "s3.bin").write_bytes(image("1.1.0", "esp32s3"))
    (folder / "w.bin").write_bytes(image("1.1.0", "w800"))
    (folder / "cut.bin").write_bytes(OLD[:9_000])
    (folder / "copy.bin").write_bytes(OLD)
    (folder / "made").write_bytes(smaller.delta(NEW, OLD))
    assert said in refused(deploy("strict", *words))


def test_older_image_is_not_judged_where_anything_goes(cloud, folder, deploy):
    (folder / "cut.bin").write_bytes(OLD[:9_000])
    job = good(deploy("strict", "new.bin", "--from", "cut.bin", "--any")).strip()
    assert document_of(cloud, job)["files"][1]["filepath"] == name_of(OLD[:9_000])


def many(folder, number: int) -> list[str]:
    """Options with so many older images."""
    words = []
    for n in range(number):
        (folder / f"old-{n}.bin").write_bytes(image(f"0.{n}"))
        words += ["--from", f"old-{n}.bin"]
    return words


def test_smaller_images_beyond_what_a_board_takes_are_refused_by_name(folder, deploy):
    nine = many(folder, 9)
    assert good(deploy("room", "new.bin", *nine, "--dry-run"))
    said = refused(deploy("room", "new.bin", *nine, "--compress"))
    assert "compressed has no room in the job: " in said
    assert "so 9 of the 10 smaller images fit" in said
    said = refused(deploy("room", "new.bin", "app.bundle", *nine))
    assert "delta from old-8.bin has no room in the job: a board takes 10 files" in said
    assert "so 8 of the 9 smaller images fit" in said


def test_presigned_addresses_leave_less_room(cloud, folder):
    aws = ("--aws", "--bucket", "b-1", "--role", ROLE, "--key", cloud.state.signer_key)
    line = ("deploy", "new.bin", "--thing", "some", *aws, "--protocol", "http", "--dry-run")
    assert good(sluice(*line, *many(folder, 3)))
    said = refused(sluice(*line, *many(folder, 5)))
    assert "delta from old-3.bin has no room in the job" in said
    assert "a document of 8 KiB, so 3 of the 5 smaller images fit" in said


@pytest.mark.parametrize("protocol", ["mqtt", "http"])
def test_reckoned_size_is_that_of_the_message_at_least(cloud, device, folder, deploy, protocol):
    board: Device = device(cloud, f"weighed-{protocol}")
    good(deploy(board.thing, "new.bin", *many(folder, 6), "--protocol", protocol))
    message = board.message()
    while b"jobDocument" not in message.payload:
        message = board.message()
    files = json.loads(message.payload)["execution"]["jobDocument"]["afr_ota"]["files"]
    custom = {
        "signature": {"inlineDocument": base64.b64decode(files[0]["sig-sha256-ecdsa"])},
        "certificateChain": {"certificateName": files[0]["certfile"]},
        "signatureAlgorithm": "ECDSA",
    }
    paths = [folder / "new.bin"] + [folder / "old-0.bin"] * 6
    same = [
        document.File(
            path,
            {},
            None if number else {"customCodeSigning": custom},
            file["filepath"] if number else None,
            "delta" if number else None,
        )
        for number, (path, file) in enumerate(zip(paths, files, strict=True))
    ]
    reckoned = document.size(Clients(None, None, "us-east-1", True, True), same, protocol)
    assert len(message.payload) <= reckoned < 2 * len(message.payload)


# --- agents --------------------------------------------------------------------------------------


def tell(cloud, thing: str, agent: object, name: str = "") -> str:
    """Have a thing's shadow tell that version of its agent."""
    with open_store(cloud.state.database) as store:
        row = {"thing": cloud.thing(thing), "name": name, "metadata": "{}"}
        state = json.dumps({"reported": {"agent": agent}})
        store.insert("shadows", **row, state=state, version=1, deleted=0)
    return thing


def test_thing_whose_agent_knows_no_smaller_images_is_refused(cloud, folder, deploy):
    for number, (version, shadow) in enumerate((("0.1.0", ""), ("0.1.99", "site"), ("0.2", ""))):
        tell(cloud, f"aged-{number}", version, shadow)
    for words in (("--from", "old.bin"), ("--compress",)):
        assert (
            "aged-0 runs agent 0.1.0, which knows no smaller images: deploy --agent first, or "
            "leave --from and --compress out" in refused(deploy("aged-0", "new.bin", *words))
        )
    assert "aged-1 runs agent 0.1.99" in refused(deploy("aged-1", "new.bin", "--compress"))
    line = ("new.bin", "--compress", "--thing", "aged-0")
    assert "aged-0 runs agent" in refused(deploy("aged-2", *line))
    assert good(deploy("aged-0", "new.bin"))
    assert good(deploy("aged-2", "new.bin", "--compress"))


def test_thing_whose_agent_is_new_or_not_known_is_taken(cloud, folder, deploy):
    told = ("0.2.0", "0.10.0", "1", "", "next", 5, None, ["0.1"])
    for number, version in enumerate(told):
        assert good(deploy(tell(cloud, f"fresh-{number}", version), "new.bin", "--compress"))
    assert good(deploy("untold", "new.bin", "--compress"))
    for number, odd in enumerate((5, "0.1.0", None)):
        thing = cloud.thing(f"odd-{number}")
        with open_store(cloud.state.database) as store:
            state = json.dumps({"reported": odd})
            row = {"thing": thing, "name": "", "metadata": "{}", "version": 1, "deleted": 0}
            store.insert("shadows", **row, state=state)
        assert good(deploy(thing, "new.bin", "--compress"))


def test_shadows_at_aws_are_asked_for_the_agent(cloud, folder, monkeypatch):
    """By endpoint_url; a rehearsal asks nobody."""
    about = cloud.state.running()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", about["access_key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", about["secret_key"])
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    tell(cloud, "far-old", "0.1.0")
    tell(cloud, "far-new", "0.2.0", "site")
    cloud.thing("far-untold")
    there = ("--endpoint-url", cloud.client("iot").meta.endpoint_url, "--bucket", "there")
    there += ("--aws", "--role", ROLE, "--key", cloud.state.signer_key)
    line = ("deploy", "new.bin", "--from", "old.bin", *there)
    assert "far-old runs agent 0.1.0" in refused(sluice(*line, "--thing", "far-old"))
    assert good(sluice(*line, "--thing", "far-old", "--dry-run"))
    things = ("--thing", "far-new", "--thing", "far-untold", "--new-bucket")
    job = good(sluice(*line, *things)).strip()
    assert len(document_of(cloud, job)["files"]) == 2


def test_room_is_refused_for_what_is_named_first_beyond_it(tmp_path):
    there = Clients(None, None, "eu-west-1", local=False, near=False)
    path = tmp_path / "x"
    path.write_bytes(b"1")
    file = document.File(path, {}, None, "/ota/x", "delta")
    with pytest.raises(SluiceError, match="^one has no room .* so 0 of the 1 smaller images fit$"):
        document.check_room(there, [file] * 10, [("one", file)], "mqtt")
