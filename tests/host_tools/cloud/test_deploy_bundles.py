"""`sluice deploy` of bundles, folders, .py files and the agent: what becomes of each, and when."""

import base64
import json

import pytest
from cloud_process import Device
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from patience import FUSE_S
from test_deploy import behave
from test_provision import calls, good, refused
from typed import sluice

from sluice import __version__
from sluice.bundle import container, make
from sluice.cloud.store import open_store
from sluice.image import make_image

ROLE = "arn:aws:iam::123456789012:role/any"
BOARD = "SIM_ESP32"
CODE = "async def healthy():\n    return True\n"
AGENT = make.agent(BOARD, "0.2.0")


@pytest.fixture
def parts(tmp_path):
    """A folder with one of each: app.bin, app.py, folder/, app.bundle, agent.bundle."""
    (tmp_path / "app.bin").write_bytes(make_image("1.1.0", 9000, modules={}))
    (tmp_path / "app.py").write_text(CODE)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/app.py").write_text(CODE)
    (tmp_path / "folder/table.json").write_text("{}")
    (tmp_path / "app.bundle").write_bytes(make.application(tmp_path / "app.py", "1.3.0"))
    (tmp_path / "agent.bundle").write_bytes(AGENT)
    return tmp_path


def rehearsed(cloud, *words: object) -> dict:
    """The calls of a deployment to AWS that is only rehearsed, by their names."""
    aws = ("--aws", "--bucket", "some-bucket", "--role", ROLE, "--key", cloud.state.signer_key)
    return dict(calls(good(sluice("deploy", *words, "--thing", "some", *aws, "--dry-run"))))


def entries(cloud, *words: object) -> list[tuple[str, int | None]]:
    """(name, file type) of the files of such a one."""
    files = rehearsed(cloud, *words)["iot.CreateOTAUpdate"]["files"]
    assert all(file["codeSigning"]["customCodeSigning"]["signature"] for file in files)
    return [(file["fileName"], file.get("fileType")) for file in files]


def test_what_is_deployed_is_known_by_its_content(cloud, parts):
    version = ("--version", "1.2.0")
    assert entries(cloud, parts / "app.bin") == [("app.bin", None)]
    assert entries(cloud, parts / "app.bundle") == [("app.bundle", 200)]
    assert entries(cloud, parts / "agent.bundle") == [("agent.bundle", 201)]
    assert entries(cloud, parts / "app.py", *version) == [("app-1.2.0.bundle", 200)]
    assert entries(cloud, parts / "folder", *version) == [("folder-1.2.0.bundle", 200)]
    agent = [(f"agent-SIM_ESP32-{__version__}.bundle", 201)]
    assert entries(cloud, "--agent", "--board", BOARD) == agent
    agent = [("agent-SIM_ESP32-9.9.bundle", 201)]
    assert entries(cloud, "--agent", "--board", BOARD, "--version", "9.9") == agent


def test_name_of_a_file_says_nothing(cloud, parts):
    (parts / "app.bundle").rename(parts / "x.bin")
    (parts / "app.bin").rename(parts / "y.py")
    assert entries(cloud, parts / "x.bin") == [("x.bin", 200)]
    assert entries(cloud, parts / "y.py") == [("y.py", None)]


def test_image_comes_first_and_files_last_in_whatever_order_they_are_named(cloud, parts):
    words = (parts / "app.bundle", parts / "agent.bundle", parts / "app.bin")
    found = entries(cloud, *words, "--file", f"{parts}/app.py=/data/x")
    assert found == [("app.bin", None), ("agent.bundle", 201), ("app.bundle", 200), ("/data/x", 1)]
    line = (parts / "app.py", "--version", "1.2.0", "--agent", "--board", BOARD)
    found = entries(cloud, *line, parts / "app.bin")
    name = f"agent-SIM_ESP32-{__version__}.bundle"  # the version is that of the application
    assert found == [("app.bin", None), (name, 201), ("app-1.2.0.bundle", 200)]


def test_stream_and_job_carry_bundles_as_an_update_does(cloud, parts):
    cloud.thing("carried")
    iot, documents = cloud.client("iot"), []
    for more in ((), ("--retries", 1)):
        for protocol in ("mqtt", "http"):
            line = ("deploy", parts / "app.bin", parts / "agent.bundle", parts / "app.bundle")
            line += ("--thing", "carried", "--state", cloud.state.root, "--protocol", protocol)
            job = good(sluice(*line, *more)).strip()
            ota = json.loads(iot.get_job_document(jobId=job)["document"])["afr_ota"]
            assert iot.describe_stream(streamId=ota.pop("streamname"))["streamInfo"]["files"]
            for file in ota["files"]:
                address = file.pop("update_data_url", None)
                assert (address is not None) == (protocol == "http")
                del file["sig-sha256-ecdsa"]  # another one each time
            documents.append(ota)
    assert documents[0] == documents[2] and documents[1] == documents[3]
    assert [file.get("fileType") for file in documents[0]["files"]] == [None, 201, 200]
    assert [file["fileid"] for file in documents[0]["files"]] == [0, 1, 2]


def test_bundle_that_is_made_on_the_way_arrives_whole_and_signed(cloud, device, parts):
    board: Device = device(cloud, "maker")
    behave(board, ("SUCCEEDED", "accepted v1.2.0"))
    line = ("deploy", parts / "folder", "--version", "1.2.0", "--thing", "maker", "--wait")
    done = sluice(*line, "--state", cloud.state.root, "--timeout", FUSE_S)
    job, verdict = good(done).splitlines()
    assert verdict == "SUCCEEDED accepted v1.2.0"
    assert "bundle of an application, version 1.2.0, " in done.stderr
    iot = cloud.client("iot")
    ota = json.loads(iot.get_job_document(jobId=job)["document"])["afr_ota"]
    [file] = ota["files"]
    assert (file["filepath"], file["fileType"]) == ("folder-1.2.0.bundle", 200)
    stream = iot.describe_stream(streamId=ota["streamname"])["streamInfo"]["files"][0]
    where = stream["s3Location"]
    found = cloud.client("s3").get_object(
        Bucket=where["bucket"], Key=where["key"], VersionId=where["version"]
    )
    data = found["Body"].read()
    assert len(data) == file["filesize"]
    description, members = container.unpack(data)
    assert description == {"kind": "app", "mpy": 6, "version": "1.2.0"}
    assert list(members) == ["sluice.json", "app.mpy", "table.json"]
    signer = x509.load_pem_x509_certificate(cloud.state.signer_certificate.read_bytes())
    signature = base64.b64decode(file["sig-sha256-ecdsa"])
    signer.public_key().verify(signature, data, ec.ECDSA(hashes.SHA256()))


# --- the agent's board ---------------------------------------------------------------------------


def tell(cloud, thing: str, board: object, name: str = "") -> str:
    """Have a thing's shadow say so."""
    with open_store(cloud.state.database) as store:
        row = {"thing": cloud.thing(thing), "name": name, "metadata": "{}"}
        state = json.dumps({"reported": {"board": board}})
        store.insert("shadows", **row, state=state, version=1, deleted=0)
    return thing


def agent(cloud, *things: str, more: tuple = ()):
    words = [word for thing in things for word in ("--thing", thing)]
    return sluice("deploy", "--agent", *words, "--state", cloud.state.root, *more, "--dry-run")


def test_board_of_an_agent_is_known_from_the_shadow(cloud):
    tell(cloud, "shadowed", BOARD)
    tell(cloud, "named", BOARD, "device")
    found = dict(calls(good(agent(cloud, "shadowed", "named"))))
    [file] = found["iot.CreateOTAUpdate"]["files"]
    assert file["fileName"] == f"agent-SIM_ESP32-{__version__}.bundle"


def test_board_that_is_not_known_has_to_be_said(cloud):
    tell(cloud, "spoken", BOARD)
    tell(cloud, "another", "SIM_W800")
    tell(cloud, "stranger", "TOASTER")
    tell(cloud, "muddled", 5)
    cloud.thing("silent")
    for things in (("silent",), ("spoken", "silent"), ("stranger",), ("muddled",)):
        assert "an agent is for one board: --board NAME, of " in refused(agent(cloud, *things))
    assert "--board NAME" in refused(agent(cloud, "spoken", more=("--group", "all")))
    said = refused(agent(cloud, "spoken", "another"))
    assert "the things are SIM_ESP32 and SIM_W800: deploy to each kind by itself" in said
    assert good(agent(cloud, "silent", more=("--board", BOARD)))


def test_bundle_for_another_board_than_the_things_is_refused(cloud, parts):
    tell(cloud, "known", "SIM_W800")
    line = ("--thing", "known", "--thing", cloud.thing("unknown"), "--state", cloud.state.root)
    said = refused(sluice("deploy", parts / "agent.bundle", *line))
    assert "agent.bundle is for SIM_ESP32, and a thing is known to be SIM_W800 (--any" in said
    assert good(sluice("deploy", parts / "agent.bundle", *line, "--any"))
    assert good(sluice("deploy", parts / "app.bundle", *line))  # which is for any board
    app = ("deploy", parts / "app.py", "--version", "1", *line, "--dry-run")
    assert good(sluice(*app, "--board", "SIM_W800"))
    assert "app-1.bundle is for SIM_ESP32" in refused(sluice(*app, "--board", BOARD))


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "deploy what? an image, a bundle, a folder, a .py, or --agent"),
        (("app.py",), "app.py becomes a bundle of an application: which --version is it?"),
        (("folder",), "which --version is it?"),
        (("app.py", "--any"), "which --version is it?"),
        (("folder", "--agent", "--board", BOARD), "which --version is it?"),
        (("app.bin", "--version", "1"), "all else says its own"),
        (("app.bundle", "--version", "1"), "all else says its own"),
        (("app.bundle", "--board", BOARD), "all else says its own"),
        (("app.bin", "app.bin"), "one image at most, and here are 2"),
        (("app.bundle", "app.py", "--version", "1"), "one bundle of an application at most"),
        (("agent.bundle", "--agent", "--board", BOARD), "one bundle of an agent at most"),
        (("--agent",), "an agent is for one board: --board NAME"),
        (("--agent", "--board", "TOASTER"), "no board 'TOASTER'"),
        (("app.py", "--version", ""), "a version has 1 to 31"),
        (("none",), "none"),
        (("none.py", "--version", "1"), "none.py"),
        (("app.bundle", "--file", "app.py=/main.py"), "--file: /main.py is the agent's own"),
        (("app.bundle", "--file", "app.py"), "SRC=DEST"),
        (
            ("app.bundle", "app.bin", *(f"--file=app.py=/x{n}" for n in range(9))),
            "10 files at most",
        ),
    ],
)
def test_deploy_of_what_makes_no_job_is_refused(cloud, parts, monkeypatch, words, said):
    monkeypatch.chdir(parts)
    line = ("--thing", cloud.thing("strict"), "--state", cloud.state.root)
    assert said in refused(sluice("deploy", *words, *line))


def test_bundle_that_no_board_takes_is_refused_unless_anything_goes(cloud, parts):
    for name, file_type in (("app.bundle", 200), ("agent.bundle", 201)):
        good_one = parts / name
        good_one.write_bytes(good_one.read_bytes() + b"!")
        line = ("--thing", cloud.thing("strict"), "--state", cloud.state.root)
        said = refused(sluice("deploy", good_one, *line))
        assert f"{good_one}: bytes follow the end of the gzip: 1 (--any sends it" in said
        assert entries(cloud, good_one, "--any") == [(name, file_type)]
    (parts / "broken").write_bytes(b"\x1f\x8bnothing")
    assert entries(cloud, parts / "broken", "--any") == [("broken", 200)]


def test_python_is_never_an_image(cloud, parts):
    found = entries(cloud, parts / "app.py", "--any", "--version", "1")
    assert found == [("app-1.bundle", 200)]
