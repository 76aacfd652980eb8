"""A job of every kind, made with boto3, one after another on one board: each ends as documented.

The table "What a job may ask" of docs/jobs.md is the list of kinds; a row without a job here
fails, and so does a job without a row.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stage import Stage, image, target

from sluice.bundle import make
from sluice.commands import deploy
from sluice.device import provision
from sluice.image import smaller
from sluice.image.seal import sealed
from sluice.signing import load_key

PAGE = Path(__file__).parents[2] / "docs/jobs.md"
SMALL = 180_224  # bytes
OWN = "async def run(job, device):\n    return 'ours'\n"
IMAGES = iter(range(1, 100))
PLACES = {  # what jobs brought, in the end
    "/data/a": b"downloaded",
    "/data/note": b"with an image",
    "/data/3": b"three",
    "/data/7": b"seven",
    "/data/255": b"the last one",
    "/data/template": b"by a template",
}


def new(scene: Stage) -> bytes:
    """An image of a version higher than any before."""
    return image(f"1.{next(IMAGES)}.0", SMALL)


def stored(scene: Stage, content: bytes) -> str:
    """The placeholder of a presigned address of these bytes in the bucket."""
    where = deploy.upload(scene.cloud.calls, scene.file(content), deploy.BUCKET)
    address = f"https://s3.us-east-1.amazonaws.com/{where['bucket']}/{where['key']}"
    return f"${{aws:iot:s3-presigned-url:{address}}}"


def create(scene: Stage, document: dict) -> str:
    """CreateJob; the job's id."""
    job = f"kind-{uuid.uuid4().hex[:8]}"
    scene.cloud.calls.iot.create_job(
        jobId=job,
        targets=[target(scene.name)],
        document=json.dumps(document),
        presignedUrlConfig={"roleArn": deploy.ROLE, "expiresInSec": 300},
    )
    return job


# --- the kinds ----------------------------------------------------------------------------------


def by_stream(scene: Stage) -> dict:
    return scene.document(new(scene))


def by_nrf(scene: Stage) -> dict:
    content = new(scene)
    return {
        "operation": "app_fw_update",
        "size": len(content),
        "location": {"url": stored(scene, content)},
        "sig-sha256-ecdsa": scene.signature(content),
    }


def by_entry(scene: Stage) -> dict:
    """An entry of an order, as a job: the image by HTTP, sealed, and its MD5."""
    content = sealed(new(scene), load_key(scene.cloud.state.signer_key))
    entry = {
        "sn": "pump",
        "file_url": stored(scene, content),
        "md5": hashlib.md5(content).hexdigest(),
        "file_size": len(content),
        "firmware_upgrade_type": 3,
    }
    return {"devices": [entry], "gateway": "pump"}


def by_http(scene: Stage) -> dict:
    """What CreateOTAUpdate makes with HTTP alone."""
    content = new(scene)
    document = scene.document(content, {"protocols": ["HTTP"]})
    del document["afr_ota"]["streamname"]
    document["afr_ota"]["files"][0]["update_data_url"] = stored(scene, content)
    return document


def in_stream(scene: Stage, contents: dict[int, bytes]) -> str:
    """A stream of these files, by their ids; its name."""
    files = []
    for number, one in contents.items():
        where = deploy.upload(scene.cloud.calls, scene.file(one), deploy.BUCKET)
        files.append({"fileId": number, "s3Location": where})
    name = f"stream-{uuid.uuid4().hex[:8]}"
    scene.cloud.calls.iot.create_stream(streamId=name, files=files, roleArn=deploy.ROLE)
    return name


def entry(scene: Stage, number: int, path: str, content: bytes) -> dict:
    """A file of afr_ota that is no image."""
    file = {"fileid": number, "fileType": 1, "filepath": path, "filesize": len(content)}
    return file | {"sig-sha256-ecdsa": scene.signature(content)}


def with_files(scene: Stage) -> dict:
    """An image, and a file that comes with it in the same stream."""
    contents = {0: new(scene), 1: b"with an image"}
    document = scene.document(contents[0], {"streamname": in_stream(scene, contents)})
    document["afr_ota"]["files"].append(entry(scene, 1, "/data/note", contents[1]))
    return document


def files_alone(scene: Stage) -> dict:
    """No image, and ids as a stream may have them."""
    contents = {7: b"seven", 3: b"three", 255: b"the last one"}
    stream = in_stream(scene, contents)
    files = [entry(scene, number, f"/data/{number}", contents[number]) for number in contents]
    return {"afr_ota": {"protocols": ["MQTT"], "streamname": stream, "files": files}}


def signed(scene: Stage, content: bytes) -> dict:
    """Where a file is, and its signature."""
    return {"url": stored(scene, content), "sig-sha256-ecdsa": scene.signature(content)}


def download(scene: Stage) -> dict:
    return {"operation": "download", "path": "/data/a"} | signed(scene, b"downloaded")


def install(scene: Stage) -> dict:
    files = {"fileName": "demo.py"} | signed(scene, b"print('demo')")
    return {"operation": "install", "packageName": "demo", "files": files}


def back(scene: Stage) -> dict:
    """To what ran before: an update first, so that there is something to go back to."""
    before = scene.board.slot_bytes(scene.running[0], SMALL)
    assert scene.verdict(create(scene, by_stream(scene))).status == "SUCCEEDED", scene.tail
    digest = hashlib.sha256(before).hexdigest()
    return {"operation": "rollback", "size": SMALL, "sha256": digest}


def application(scene: Stage, version: str) -> bytes:
    """The bundle of an application of that version."""
    file = scene.folder / "app.py"
    file.write_text("async def healthy():\n    return True\n")
    return make.application(file, version)


def by_bundle(scene: Stage, version: str = "1.1.0") -> dict:
    content = application(scene, version)
    return {
        "operation": "update",
        "kind": "app",
        "url": stored(scene, content),
        "size": len(content),
        "sig-sha256-ecdsa": scene.signature(content),
    }


def bundles_alone(scene: Stage) -> dict:
    """An application in a stream, as CreateOTAUpdate has it."""
    content = application(scene, "1.0.0")
    file = entry(scene, 0, "/app", content) | {"fileType": 200}
    stream = in_stream(scene, {0: content})
    return {"afr_ota": {"protocols": ["MQTT"], "streamname": stream, "files": [file]}}


def smaller_forms(scene: Stage) -> dict:
    """An image, a delta against another than the one that runs, and the image compressed."""
    content = new(scene)
    forms = {1: smaller.delta(content, content[:-1]), 2: smaller.compressed(content)}
    digest = hashlib.sha256(content[:-1]).hexdigest()
    document = scene.document(content, {"streamname": in_stream(scene, {0: content} | forms)})
    places = {1: (202, f"/ota/{digest}.{len(content) - 1}"), 2: (203, "/ota/compressed")}
    for number, (kind, place) in places.items():
        file = {"fileid": number, "fileType": kind, "filepath": place}
        document["afr_ota"]["files"].append(file | {"filesize": len(forms[number])})
    return document


def back_to_application(scene: Stage) -> dict:
    """One more application comes first, so that there is one before."""
    assert scene.verdict(create(scene, by_bundle(scene, "1.2.0"))).status == "SUCCEEDED"
    return {"operation": "rollback", "kind": "app", "version": "1.1.0"}


def unsigned(scene: Stage) -> dict:
    """The template has no room for a signature: on a board that takes files without one."""
    scene.board.stop()
    scene.configure(allow_unsigned=True)
    scene.power_on()
    address = stored(scene, b"by a template")
    return template("Download-File", "download-file.sh", address, "/data/template")


def template(name: str, handler: str, *words: str) -> dict:
    """A document as AWS's managed templates make it."""
    what = {"handler": handler, "args": list(words), "path": "default"}
    action = {"name": name, "type": "runHandler", "input": what}
    return {"version": "1.0", "steps": [{"action": action}]}


KINDS: dict[str, Callable[[Stage], dict]] = {  # as the page's table begins them
    '{"afr_ota": …}': by_stream,
    '{"afr_ota": {"protocols": ["HTTP"]': by_http,
    '{"afr_ota": {…, "files": [several]': with_files,
    '{"afr_ota": {…, "files": [no image]': files_alone,
    '{"afr_ota": {…, "files": [bundles]': bundles_alone,
    '{"afr_ota": {…, "files": [image, deltas, compressed]': smaller_forms,
    '{"location": …': by_nrf,
    '{"devices": ': by_entry,
    '{"operation": "download"': download,
    '{"operation": "install"': install,
    '{"operation": "echo"': lambda scene: {"operation": "echo", "text": "hello"},
    '{"operation": "reboot"': lambda scene: {"operation": "reboot"},
    '{"operation": "rollback", "size"': back,
    '{"operation": "update", "kind": "app"': by_bundle,
    '{"operation": "rollback", "kind": "app"': back_to_application,
    '{"operation": NAME': lambda scene: {"operation": "ours"},
    '{"version": "1.0", "steps": [reboot': lambda scene: template("Reboot", "reboot.sh"),
    '{"version": "1.0", "steps": [download': unsigned,
}


def documented() -> dict[str, str]:
    """The page's rows: the document, and the status that its job ends with."""
    section = PAGE.read_text().split("\n## What a job may ask\n")[1].split("\n## ")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return {row[0].strip("| `"): re.findall(r"`([A-Z]+)`", row[2])[0] for row in rows}


@pytest.fixture(scope="module")
def board(cloud, tmp_path_factory, release) -> Iterator[Stage]:
    """A board with an operation of its user's own."""
    scene = cloud.stage(tmp_path_factory.mktemp("kinds"))
    scene.equip("ours", OWN)
    scene.power_on()
    yield scene
    scene.board.stop()
    scene.board.flash.release()


def test_every_kind_of_the_page_has_a_job_here_and_none_is_missing():
    rows = documented()
    for kind in KINDS:
        assert sum(row.startswith(kind) for row in rows) == 1, kind
    for row in rows:
        assert any(row.startswith(kind) for kind in KINDS), row


def test_a_job_of_each_kind_ends_as_the_page_says(board):
    rows = documented()
    for kind, document in KINDS.items():
        (wanted,) = {status for row, status in rows.items() if row.startswith(kind)}
        verdict = board.verdict(create(board, document(board)))
        assert verdict.status == wanted, (kind, verdict, board.tail)
    board.board.stop()
    with provision.mounted(board.board.chip, board.board.table) as files:
        for path, content in PLACES.items():
            with files.open(path, "rb") as file:
                assert file.read() == content, path
