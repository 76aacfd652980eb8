"""The job-document standard: what it lets pass, what it refuses, and how it says so."""

import ast
import base64
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from sluice.compile import FIRMWARE
from sluice.documents import OURS, SCHEMA, SHAPES, TREES, check, check_places
from sluice.errors import SluiceError

VECTORS = Path(__file__).parents[1] / "vectors"
WHOLE = Draft202012Validator(json.loads(SCHEMA.read_text()))
HTTP = "https://files.example/image.bin?a=b"
HOLDER = "${aws:iot:s3-presigned-url:https://s3.eu-west-1.amazonaws.com/bucket/key}"
SIGNATURE = base64.b64encode(bytes(70)).decode()
SIGNED = "${aws:iot:code-sign-signature:s3://eu-west-1.bucket/key@version}"
DIGEST = "0123456789abcdef" * 4
FILE = {"filesize": 60, "fileid": 0, "certfile": "/", "sig-sha256-ecdsa": SIGNATURE}
BY_HTTP = FILE | {"update_data_url": HTTP}
UPDATE = {"protocols": ["MQTT"], "streamname": "AFR_OTA-1", "files": [FILE]}
NRF = {"operation": "app_fw_update", "fwversion": "v1.0.2", "size": 200_000}
PLACE = {"protocol": "https:", "host": "files.example", "path": "image.bin"}
CHECKSUM = {"inline": {"value": DIGEST}, "hashAlgorithm": "SHA256"}
DEVICE = {"sn": "dock", "file_url": HOLDER, "md5": "0123456789abcDEF" * 2, "file_size": 9}
INSTALL = {"operation": "install", "packageName": "demo"}
ENTRY = {"fileName": "a.py", "fileSource": {"url": HOLDER}, "checksum": CHECKSUM}
BUNDLES = [FILE | {"fileType": 200}, FILE | {"fileType": 201, "filepath": "agent.bundle"}]
PLAIN = FILE | {"fileType": 2, "filepath": "lib/a.py"}
SMALLER = [  # which need no signature
    {"filesize": 60, "fileid": 1, "fileType": 202, "filepath": f"/ota/{DIGEST}.1427216"},
    {"filesize": 60, "fileid": 2, "fileType": 203, "filepath": "/ota/compressed"},
]
NAMELESS = {"filesize": 60, "fileid": 1, "fileType": 202}
BUNDLE = {"operation": "update", "kind": "app", "url": HTTP, "size": 1042}
BACK = {"operation": "rollback", "kind": "agent", "version": "0.1.0"}
ACTION = {"name": "Reboot", "type": "runHandler", "input": {"handler": "reboot.sh"}}


def afr(**changes) -> dict:
    return {"afr_ota": {key: value for key, value in (UPDATE | changes).items() if value}}


def of_file(**changes) -> dict:
    return afr(files=[FILE | changes])


def ordered(**changes) -> dict:
    return {"gateway": "dock", "devices": [DEVICE | changes]}


def steps(**changes) -> dict:
    return {"version": "1.0", "steps": [{"action": ACTION | changes}]}


def recorded() -> list:
    """The job documents of the source documents."""
    found = []
    for name, message, path in (
        ("000_jobs_and_streams.json", "execution", ("execution", "jobDocument")),
        ("003_jobs.json", "custom", ()),
        ("003_jobs.json", "install", ()),
        ("003_jobs.json", "started", ("execution", "jobDocument")),
    ):
        said = json.loads((VECTORS / name).read_text())["messages"]
        value = next(json.loads(one["payload"]) for one in said if one["name"] == message)
        for key in path:
            value = value[key]
        found.append(pytest.param(value, id=f"{name[:3]}-{message}"))
    return found


@pytest.mark.parametrize("document", recorded())
def test_document_that_a_source_document_shows_passes(document):
    assert check(document) in SHAPES
    assert WHOLE.is_valid(document)


GOOD = [
    (afr(), "afr_ota"),
    (of_file(fileType=1, filepath="/a", update_data_url=None, auth_scheme=None), "afr_ota"),
    (afr(protocols=["HTTP"], streamname=None, files=[BY_HTTP]), "afr_ota"),
    (NRF | {"location": PLACE}, "location"),
    (NRF | {"location": {"host": "a", "path": "b"}}, "location"),
    (NRF | {"location": {"url": HOLDER}, "signature": SIGNATURE}, "location"),
    ({"size": 1, "location": {"url": HTTP}}, "location"),
    (NRF | {"location": PLACE, "signature": SIGNED}, "location"),
    ({"operation": "reboot"}, "operation"),
    ({"operation": "echo", "text": "hello"}, "operation"),
    ({"operation": "my_own_1", "anything": [1, None]}, "operation"),
    ({"operation": "rollback", "size": 5, "sha256": DIGEST}, "operation"),
    ({"operation": "download", "url": HTTP, "path": "/a.bin"}, "operation"),
    (
        {"operation": "download", "url": HOLDER, "path": "a", "size": 5, "sig-sha256-rsa": SIGNED},
        "operation",
    ),
    (BACK, "operation"),
    (BUNDLE, "operation"),
    (
        BUNDLE | {"kind": "agent", "version": "1.2.0", "sha256": DIGEST, "signature": SIGNED},
        "operation",
    ),
    (afr(files=BUNDLES), "afr_ota"),
    (afr(files=BUNDLES[1:]), "afr_ota"),
    (afr(files=[FILE, *BUNDLES, PLAIN]), "afr_ota"),
    (afr(files=[FILE, PLAIN]), "afr_ota"),
    (afr(files=[FILE, *SMALLER]), "afr_ota"),
    (afr(files=[FILE, SMALLER[0], SMALLER[0], *BUNDLES, PLAIN]), "afr_ota"),
    (afr(files=[FILE | {"fileType": 2, "filepath": "/b"}] * 10), "afr_ota"),
    (INSTALL | {"files": {"fileName": "a.py", "url": HTTP}, "autoStart": True}, "operation"),
    (INSTALL | {"files": [ENTRY, ENTRY], "autoStart": "true"}, "operation"),
    (ordered(), "devices"),
    (ordered(firmware_upgrade_type=2, product_version="1.0", signature=SIGNATURE), "devices"),
    (INSTALL | {"files": [ENTRY | {"signature": SIGNED, "certfile": "signer.crt"}]}, "operation"),
    (steps(), "steps"),
    (steps(input={"handler": "x.sh", "args": ["a", "b"], "path": ""}, runAsUser=""), "steps"),
    (steps(type="runCommand", input={"command": "ls,-l"}), "steps"),
    (steps() | {"finalStep": {"action": ACTION}, "includeStdOut": True}, "steps"),
]


@pytest.mark.parametrize(("document", "shape"), GOOD)
def test_document_that_keeps_the_rules_passes(document, shape):
    assert check(document) == shape
    assert WHOLE.is_valid(document)


BAD = [
    ({}, "unknown shape"),
    ({"action": "reboot"}, "unknown shape"),
    (of_file(fileType=1), "'filepath' is a required"),
    (of_file(fileType=1, filepath="../a"), "afr_ota.files[0].filepath:"),
    (of_file(fileType=1, filepath="a/"), "afr_ota.files[0].filepath:"),
    (afr(files=[FILE, FILE]), "afr_ota.files:"),
    (afr(files=[BUNDLES[0]] * 2), "afr_ota.files:"),
    (afr(files=[FILE, BUNDLES[1], BUNDLES[1]]), "afr_ota.files:"),
    (afr(files=[BUNDLES[0], PLAIN]), "afr_ota.files:"),
    (of_file(fileType=256, filepath="a"), "files[0].fileType:"),
    (afr(files=SMALLER), "afr_ota.files:"),
    (afr(files=[SMALLER[1], BUNDLES[0]]), "afr_ota.files:"),
    (afr(files=[FILE, SMALLER[1], SMALLER[1]]), "afr_ota.files:"),
    (afr(files=[FILE, SMALLER[0] | {"filepath": "/a"}]), 'files[1].filepath: "/a" is not /ota/'),
    (afr(files=[FILE, SMALLER[0] | {"filepath": f"/ota/{DIGEST}.0"}]), "files[1].filepath:"),
    (afr(files=[FILE, SMALLER[0] | {"filepath": f"/ota/{DIGEST[1:]}.9"}]), "files[1].filepath:"),
    (afr(files=[FILE, SMALLER[1] | {"filepath": "a"}]), "files[1].filepath:"),
    (afr(files=[FILE, NAMELESS]), "files[1]: 'filepath' is a required"),
    ({"operation": "download", "url": HTTP, "path": "a/../../b"}, "path:"),
    (INSTALL | {"files": ENTRY | {"fileName": "\u00e4"}}, "files.fileName:"),
    ({"afr_ota": []}, "afr_ota:"),
    (afr(protocols=None), "'protocols' is a required"),
    (afr(protocols=["FTP"]), "afr_ota.protocols[0]:"),
    (afr(protocols=["MQTT", "MQTT"]), "afr_ota.protocols:"),
    (afr(streamname=None), "'streamname' is a required"),
    (afr(streamname="a b"), 'afr_ota.streamname: "a b" is not a stream\'s id'),
    (afr(protocols=["HTTP", "MQTT"]), "afr_ota.files[0]: 'update_data_url' is a required"),
    (afr(protocols=["HTTP"], files=[FILE | {"update_data_url": None}]), "update_data_url:"),
    (of_file(filesize=0), "afr_ota.files[0].filesize:"),
    (of_file(filesize=True), "afr_ota.files[0].filesize:"),
    (of_file(filesize=25_165_825), "afr_ota.files[0].filesize:"),
    (of_file(fileid=256), "afr_ota.files[0].fileid:"),
    (of_file(**{"sig-sha256-ecdsa": "not base64"}), "is not a signature in base64"),
    (NRF | {"location": {"protocol": "https:", "path": "b"}}, "location: 'host' is a required"),
    (NRF | {"location": PLACE | {"protocol": "ftp:"}}, 'location.protocol: "ftp:" is not http'),
    (NRF | {"location": PLACE | {"host": "a b"}}, "location.host:"),
    (NRF | {"location": {"url": "http://a b"}}, "location.url:"),
    (NRF | {"location": HTTP}, "location:"),
    ({"location": PLACE}, "'size' is a required"),
    (NRF | {"location": PLACE, "operation": "reboot"}, "operation:"),
    (NRF, "'location' is a required"),
    ({"operation": ""}, "operation:"),
    ({"operation": "../etc"}, "operation:"),
    ({"operation": "x" * 33}, "operation:"),
    ({"operation": None}, "operation:"),
    ({"operation": "echo", "text": 5}, "text:"),
    ({"operation": "rollback", "size": 5}, "'sha256' is a required"),
    ({"operation": "rollback", "kind": "app"}, "'version' is a required"),
    (BACK | {"kind": "image"}, 'kind: "image" is not a kind of bundle'),
    (BACK | {"version": ""}, 'version: "" is not a version'),
    (BUNDLE | {"kind": "image"}, 'kind: "image" is not a kind of bundle'),
    ({"operation": "update", "kind": "app", "size": 5}, "'url' is a required"),
    ({"operation": "update", "url": HTTP, "size": 5}, "'kind' is a required"),
    ({"operation": "update", "kind": "app", "url": HTTP}, "'size' is a required"),
    (BUNDLE | {"size": 25_165_825}, "size:"),
    (BUNDLE | {"version": "v" * 32}, "is not a version of 1 to 31"),
    (BUNDLE | {"signature": "no"}, "is not a signature in base64"),
    ({"operation": "rollback", "size": 5, "sha256": DIGEST[1:]}, "sha256:"),
    ({"operation": "download", "url": HTTP}, "'path' is a required"),
    (INSTALL, "'files' is a required"),
    ({"operation": "install", "files": [ENTRY]}, "'packageName' is a required"),
    (INSTALL | {"files": []}, "files:"),
    (INSTALL | {"files": HTTP}, "files:"),
    (INSTALL | {"files": {"fileName": "a"}}, "files: 'url' is a required"),
    (INSTALL | {"files": [ENTRY, {"url": HTTP}]}, "files[1]: 'fileName' is a required"),
    (INSTALL | {"files": [ENTRY | {"fileSource": {}}]}, "files[0].fileSource:"),
    (INSTALL | {"files": [ENTRY | {"checksum": {}}]}, "files[0].checksum:"),
    (
        INSTALL | {"files": [ENTRY | {"checksum": CHECKSUM | {"hashAlgorithm": "MD5"}}]},
        "files[0].checksum.hashAlgorithm:",
    ),
    (INSTALL | {"files": [ENTRY], "autoStart": "yes"}, 'autoStart: "yes" is not true or false'),
    (ordered() | {"devices": []}, "devices:"),
    (ordered() | {"gateway": ""}, "gateway:"),
    ({"devices": [DEVICE]}, "'gateway' is a required"),
    (ordered(md5="abcdefabcdefabcdef"), "devices[0].md5:"),
    (ordered(file_size=0), "devices[0].file_size:"),
    (ordered(firmware_upgrade_type=4), "devices[0].firmware_upgrade_type:"),
    (ordered(firmware_upgrade_type=2), "devices[0]: 'product_version' is a required"),
    (steps() | {"version": "2.0"}, "version:"),
    ({"steps": steps()["steps"]}, "'version' is a required"),
    (steps() | {"steps": []}, "steps:"),
    (steps(type="runAnything"), "steps[0].action.type:"),
    (steps(input={}), "steps[0].action.input: 'handler' is a required"),
    (steps(type="runCommand"), "steps[0].action.input: 'command' is a required"),
    (steps(input={"handler": "a", "args": [1]}), "steps[0].action.input.args[0]:"),
    (steps() | {"finalStep": {}}, "finalStep:"),
]


@pytest.mark.parametrize(("document", "words"), BAD)
def test_document_that_breaks_a_rule_is_refused_at_its_place(document, words):
    with pytest.raises(SluiceError) as caught:
        check(document)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)
    assert not WHOLE.is_valid(document)


def test_schema_is_one_of_its_draft():
    Draft202012Validator.check_schema(json.loads(SCHEMA.read_text()))


def test_wrong_value_of_any_length_is_told_in_short():
    with pytest.raises(SluiceError) as caught:
        check({"operation": "x" * 30_000})
    assert len(str(caught.value)) < 250
    with pytest.raises(SluiceError) as caught:
        check({"operation": ["x" * 30_000]})
    assert len(str(caught.value)) < 250


def test_operations_of_the_standard_are_those_of_the_board():
    listed = ast.parse((FIRMWARE / "sluice/plugins.py").read_text()).body
    (rows,) = [node.value for node in listed if "OPERATIONS = " in ast.unparse(node)[:20]]
    shape = WHOLE.schema["$defs"]["operation"]
    named = {case["if"]["properties"]["operation"]["const"] for case in shape["allOf"]}
    known = set(ast.literal_eval(rows))
    assert set(shape["properties"]["operation"]["examples"]) == known
    assert named <= known | {"app_fw_update"}  # which is the shape `location`


@pytest.mark.parametrize(
    ("places", "said"),
    [
        (["../x"], '"../x" is not the path of a file on the board'),
        (["a/"], "is not the path"),
        (["/main.py"], "/main.py is the agent's own"),
        (["./LIB//sluice/x.mpy"], "the agent's own"),
        (["lib"], "the agent's own"),
        (["/App.a"], "the agent's own"),
        (["/.agent/sluice/run.py"], "the agent's own"),
        (["/a", "a"], "two files at a"),
        (["/a", "/a/b"], "two files at a"),
        (["/lib/app.a", "/app.c", "/agent.py"], None),
        (["/a", "/ab", "lib/c.py", "/www/main.py", "/data/x.b"], None),
    ],
)
def test_places_that_no_board_would_take_are_refused(places, said):
    if said is None:
        check_places(places)
        return
    with pytest.raises(SluiceError) as caught:
        check_places(places)
    assert said in str(caught.value)


def test_places_that_are_the_agents_own_are_those_of_the_board():
    listed = ast.parse((FIRMWARE / "sluice/files/paths.py").read_text()).body
    names, trees = [
        ast.literal_eval(node.value)
        for node in listed
        if ast.unparse(node).startswith(("_OURS = ", "_TREES = "))
    ]
    assert names.split() == OURS.split() and trees == TREES
