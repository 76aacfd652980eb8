"""The commands thing, sign, deploy and job, as a user types them: results and refusals."""

import base64
import json
import stat
import subprocess
import sys
import threading
import urllib.request

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from patience import FUSE_S

from sluice import signing
from sluice.cli import main
from sluice.cloud.state import State
from sluice.cloud.store import open_store
from sluice.commands import cloud as cloud_command
from sluice.commands import thing as thing_command
from sluice.errors import SluiceError
from sluice.image import make_image

DATA = make_image("1.0.0", 9000, modules={})


@pytest.fixture
def image(tmp_path):
    file = tmp_path / "app image.bin"
    file.write_bytes(DATA)
    return file


def refused(done: subprocess.CompletedProcess) -> str:
    """The one line of a refusal."""
    assert (done.returncode, done.stdout) == (1, ""), done
    assert done.stderr.startswith("sluice: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def good(done: subprocess.CompletedProcess) -> str:
    assert done.returncode == 0, done
    return done.stdout


def test_thing_create_beside_a_cloud_that_starts_knows_its_port(tmp_path, monkeypatch):
    """The cloud is one that has its folder, and no port yet."""
    state, waited = State(tmp_path), []
    with state.lock():

        def nap(seconds: float) -> None:
            waited.append(seconds)
            with open_store(state.database) as store:
                store.remember("mqtt_port", "4321")
            state.ready.write_text("{}", encoding="utf-8")

        monkeypatch.setattr("sluice.cloud.state.time.sleep", nap)
        monkeypatch.setattr(thing_command, "wait_known", lambda *_: None)
        assert main(["thing", "create", "pump", "--state", str(tmp_path)]) == 0
    config = json.loads((tmp_path / "things/pump/config.json").read_text())
    assert waited and config["port"] == 4321


def test_thing_create_makes_all_files_without_a_cloud(tmp_path, command):
    good(command("thing", "create", "pump", "--state", tmp_path))
    folder = tmp_path / "things/pump"
    assert sorted(file.name for file in folder.iterdir()) == [
        "AmazonRootCA1.pem",
        "certificate.pem.crt",
        "config.json",
        "private.pem.key",
        "signer.crt",
    ]
    config = json.loads((folder / "config.json").read_text())
    assert (config["thing"], config["endpoint"], config["port"]) == ("pump", "localhost", 8883)
    assert (config["dialect"], config["block"], config["window"]) == ("aws_jobs", 4096, 262_144)
    assert config["allow_unsigned"] is False
    for key in ("ca", "certificate", "private_key"):
        assert (folder / config[key]).exists()
    assert stat.S_IMODE((folder / "private.pem.key").stat().st_mode) == 0o600
    root = x509.load_pem_x509_certificate((folder / "AmazonRootCA1.pem").read_bytes())
    certificate = x509.load_pem_x509_certificate((folder / "certificate.pem.crt").read_bytes())
    certificate.verify_directly_issued_by(root)
    assert isinstance(certificate.public_key().curve, ec.SECP256R1)
    signer = (folder / "signer.crt").read_bytes()
    assert signer == (tmp_path / "signer.crt").read_bytes()
    usage = x509.load_pem_x509_certificate(signer).extensions
    wanted = x509.ExtendedKeyUsageOID.CODE_SIGNING
    assert wanted in usage.get_extension_for_class(x509.ExtendedKeyUsage).value


def test_thing_create_twice_is_refused_and_overwrites_nothing(tmp_path, command):
    good(command("thing", "create", "pump", "--state", tmp_path))
    before = (tmp_path / "things/pump/private.pem.key").read_bytes()
    assert "pump exists" in refused(command("thing", "create", "pump", "--state", tmp_path))
    assert (tmp_path / "things/pump/private.pem.key").read_bytes() == before


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b", "ä", "x" * 129, "a+b", "#"])
def test_thing_create_bad_name_is_refused(tmp_path, command, name):
    assert "no thing name" in refused(command("thing", "create", name, "--state", tmp_path / "s"))
    assert not (tmp_path / "s").exists()


def test_thing_create_longest_name_works(tmp_path, command):
    name = "Az09:_-x" * 16
    good(command("thing", "create", name, "--state", tmp_path))
    assert (tmp_path / "things" / name / "config.json").exists()


def test_things_created_at_once_share_one_authority(tmp_path):
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "sluice.cli", "thing", "create", f"t{n}"]
            + ["--state", str(tmp_path)],
            stdout=subprocess.DEVNULL,
        )
        for n in range(3)
    ]
    assert [process.wait(FUSE_S) for process in started] == [0, 0, 0]
    roots = {(tmp_path / f"things/t{n}/AmazonRootCA1.pem").read_bytes() for n in range(3)}
    assert len(roots) == 1


def test_thing_list_shows_names_also_as_json(tmp_path, command):
    good(command("thing", "create", "pump", "--state", tmp_path))
    done = command("thing", "list", "--state", tmp_path)
    assert (good(done), done.stderr) == ("pump\n", "")
    [listed] = json.loads(good(command("thing", "list", "--json", "--state", tmp_path)))
    assert listed["thingName"] == "pump" and "connected" not in listed["connectivity"]
    assert "there is no folder" in refused(command("thing", "list", "--state", tmp_path / "no"))


def test_cloud_env_without_a_cloud_fails_what_evaluates_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cloud_command, "READY_S", 0)
    assert main(["cloud", "env", "--state", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1 and "is not a state folder" in printed.err
    script = f"set -e; eval '{printed.out}'; echo went on"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize("named", ["by an option", "by the environment"])
def test_cloud_env_waits_for_a_folder_that_a_cloud_is_just_making(
    tmp_path, monkeypatch, capsys, named
):
    state, locks = State(tmp_path / "lab"), []
    about = dict.fromkeys(cloud_command.EXPORTS.values(), "known")

    def nap(seconds: float) -> None:
        locks.append(state.lock())
        state.ready.write_text(json.dumps(about))

    monkeypatch.setattr(cloud_command.time, "sleep", nap)
    monkeypatch.setenv("SLUICE_STATE", str(state.root))
    option = ["--state", str(state.root)] if named == "by an option" else []
    assert main(["cloud", "env", *option]) == 0
    assert len(locks) == 1 and "=known" in capsys.readouterr().out
    locks[0].close()


def test_sign_new_key_makes_a_key_a_certificate_and_a_good_signature(tmp_path, image, command):
    key = tmp_path / "k.pem"
    signature = base64.b64decode(good(command("sign", image, "--key", key, "--new-key")))
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    certificate = x509.load_pem_x509_certificate((tmp_path / "k.crt").read_bytes())
    certificate.public_key().verify(signature, DATA, ec.ECDSA(hashes.SHA256()))
    with pytest.raises(InvalidSignature):
        certificate.public_key().verify(signature, DATA + b"x", ec.ECDSA(hashes.SHA256()))
    before = key.read_bytes()
    assert "exists already" in refused(command("sign", image, "--key", key, "--new-key"))
    assert key.read_bytes() == before


def test_new_key_and_its_certificate_are_made_both_or_neither(tmp_path, monkeypatch):
    key, certificate = tmp_path / "k.pem", tmp_path / "k.crt"
    for there, other in ((key, certificate), (certificate, key)):
        there.write_text("mine")
        with pytest.raises(SluiceError, match=f"{there} exists already"):
            signing.new_key(key)
        assert (there.read_text(), other.exists()) == ("mine", False)
        there.unlink()

    def interrupted(key: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(signing, "key_pem", interrupted)
    with pytest.raises(KeyboardInterrupt):
        signing.new_key(key)
    monkeypatch.undo()
    assert signing.new_key(key) == certificate
    assert signing.load_key(key)


def test_sign_rsa_key_signs_pkcs1(tmp_path, image, command):
    made = rsa.generate_private_key(65537, 2048)
    key = tmp_path / "rsa.pem"
    key.write_bytes(pem(made))
    signature = base64.b64decode(good(command("sign", image, "--key", key)))
    made.public_key().verify(signature, DATA, padding.PKCS1v15(), hashes.SHA256())


def pem(key, password: bytes | None = None) -> bytes:
    encryption = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, encryption)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no key", "not a PEM private key"),
        (pem(ec.generate_private_key(ec.SECP256R1()), b"secret"), "not a PEM private key"),
        (pem(ec.generate_private_key(ec.SECP384R1())), "neither an EC P-256"),
        (None, "cannot read the key"),
    ],
    ids=["text", "password", "curve", "missing"],
)
def test_sign_with_a_key_of_no_use_is_refused(tmp_path, image, command, content, words):
    key = tmp_path / "k.pem"
    if content is not None:
        key.write_bytes(content)
    assert words in refused(command("sign", image, "--key", key))


def test_sign_image_that_cannot_be_read_leaves_no_key(tmp_path, command):
    key = tmp_path / "k.pem"
    (tmp_path / "empty").touch()
    for name, words in (("none", "cannot read"), ("empty", "is empty")):
        done = command("sign", tmp_path / name, "--key", key, "--new-key")
        assert words in refused(done)
    assert not key.exists()


def test_deploy_prints_the_job_whose_signature_the_board_can_check(cloud, image, command):
    cloud.thing("deployed")
    root = cloud.state.root
    job = good(command("deploy", image, "--thing", "deployed", "--state", root)).strip()
    document = cloud.client("iot").get_job_document(jobId=job)["document"]
    ota = json.loads(document)["afr_ota"]
    [file] = ota["files"]
    assert (ota["protocols"], file["filesize"], file["certfile"]) == (
        ["MQTT"],
        len(DATA),
        "signer.crt",
    )
    signer = (cloud.state.thing("deployed") / file["certfile"]).read_bytes()
    key = x509.load_pem_x509_certificate(signer).public_key()
    signature = base64.b64decode(file["sig-sha256-ecdsa"])
    key.verify(signature, DATA, ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize(
    ("thing", "name", "more"),
    [
        ("over-http", "app image.bin", ()),
        ("odd-1", "a+b&c%20d.bin", ("--retries", 1)),
        ("odd-2", 'q"uote}ü?#.bin', ("--retries", 1)),
    ],
)
def test_deploy_over_http_gives_the_board_a_url_that_works(
    cloud, device, image, command, thing, name, more
):
    board, image = device(cloud, thing), image.rename(image.with_name(name))
    command_line = ("deploy", image, "--thing", thing, "--state", cloud.state.root, *more)
    good(command(*command_line, "--protocol", "http"))
    board.next(), board.next()
    urls = set()
    for _ in range(2):
        _, body = board.ask("jobs/$next/get")
        [file] = body["execution"]["jobDocument"]["afr_ota"]["files"]
        urls.add(file["update_data_url"])
    request = urllib.request.Request(urls.pop(), headers={"Range": "bytes=10-19"})
    with urllib.request.urlopen(request, timeout=FUSE_S) as answer:
        assert (answer.status, answer.read()) == (206, DATA[10:20])


@pytest.mark.parametrize(
    ("final", "code", "words"),
    [
        ({"status": "SUCCEEDED", "statusDetails": {"reason": "accepted  v1.2.0"}}, 0, "v1.2.0"),
        ({"status": "FAILED", "statusDetails": {"reason": "signature"}}, 1, "FAILED: signature"),
    ],
)
def test_deploy_wait_ends_as_the_board_reports(cloud, device, image, command, final, code, words):
    board = device(cloud, f"waited-{code}")
    ended = []

    def behave() -> None:
        board.next(), board.next()
        _, body = board.ask("jobs/start-next")
        path = f"jobs/{body['execution']['jobId']}/update"
        for status in ({"receive": "1/3"}, {"self_test": "active"}):
            board.ask(path, {"status": "IN_PROGRESS", "statusDetails": status})
        ended.append(board.ask(path, final)[0])

    thread = threading.Thread(target=behave)
    thread.start()
    line = ("deploy", image, "--thing", board.thing, "--state", cloud.state.root, "--wait")
    done = command(*line, "--timeout", FUSE_S)
    thread.join(FUSE_S)
    assert (done.returncode, len(ended)) == (code, 1)
    assert words in done.stdout + done.stderr


def test_deploy_wait_gives_up_after_its_timeout(cloud, image, command):
    cloud.thing("nobody-home")
    line = ("deploy", image, "--thing", "nobody-home", "--state", cloud.state.root, "--wait")
    done = command(*line, "--timeout", 0)
    assert done.returncode == 1
    assert "still QUEUED after 0 s" in done.stderr


def test_deploy_refusals_are_one_line(cloud, tmp_path, image, command):
    state = ("--state", cloud.state.root)
    assert "unknown thing ghost" in refused(command("deploy", image, "--thing", "ghost", *state))
    cloud.thing("real")
    refusal = refused(command("deploy", image, "--thing", "reel", *state))
    assert refusal == "sluice: unknown thing reel: did you mean real?\n"
    none = tmp_path / "none.bin"
    assert "cannot read" in refused(command("deploy", none, "--thing", "real", *state))
    line = ("deploy", image, "--thing", "real", "--state", tmp_path / "no")
    assert "there is no folder" in refused(command(*line))
    line = ("deploy", image, "--thing", "real", "--key", none, *state)
    assert "cannot read the key" in refused(command(*line))
    assert "needs --bucket" in refused(command("deploy", image, "--thing", "real", "--aws"))


def test_job_is_created_listed_shown_and_canceled(cloud, device, tmp_path, command):
    board = device(cloud, "worker")
    state = ("--state", cloud.state.root)
    document = tmp_path / "job.json"
    document.write_text('{"operation": "echo"}')
    line = ("job", "create", "--thing", "worker", "--document", document, "--id", "work", *state)
    assert good(command(*line)) == "work\n"
    assert board.next()[0] == "jobs/notify"
    rows = json.loads(good(command("job", "list", "--json", *state)))
    assert {"jobId": "work", "status": "IN_PROGRESS"}.items() <= rows[0].items()
    assert rows[0]["jobProcessDetails"] == {"numberOfQueuedThings": 1}
    assert "1 QUEUED" in good(command("job", "list", *state))
    shown = json.loads(good(command("job", "show", "work", "--json", *state)))
    assert {"jobId": "work", "status": "IN_PROGRESS"}.items() <= shown.items()
    assert shown["document"] == {"operation": "echo"}
    [execution] = shown["executions"]
    wanted = {"jobId": "work", "thingName": "worker", "executionNumber": 1, "status": "QUEUED"}
    assert (wanted | {"versionNumber": 1, "statusDetails": {}}).items() <= execution.items()
    assert "outcome      1 QUEUED\n" in good(command("job", "show", "work", *state))
    board.next()
    board.ask("jobs/start-next")
    good(command("job", "cancel", "work", *state))
    shown = json.loads(good(command("job", "show", "work", "--json", *state)))
    assert (shown["status"], shown["executions"][0]["status"]) == ("CANCELED", "IN_PROGRESS")
    good(command("job", "cancel", "work", "--force", *state))
    assert (board.next()[0], list(board.next()[1])) == ("jobs/notify", ["timestamp"])
    shown = json.loads(good(command("job", "show", "work", "--json", *state)))
    assert shown["executions"][0]["status"] == "CANCELED"
    again = command("job", "cancel", "work", "--force", *state)
    assert "job work is CANCELED: it cannot be canceled" in refused(again)


def test_job_canceled_with_force_tells_the_board(cloud, device, tmp_path, command):
    board = device(cloud, "stopped")
    state = ("--state", cloud.state.root)
    document = tmp_path / "job.json"
    document.write_text("{}")
    line = ("job", "create", "--thing", "stopped", "--document", document, "--any", *state)
    job = good(command(*line)).strip()
    board.next(), board.next()
    board.ask("jobs/start-next")
    good(command("job", "cancel", job, "--force", *state))
    assert board.next()[0] == "jobs/notify"
    path, body = board.next()
    assert (path, list(body)) == ("jobs/notify-next", ["timestamp"])


def test_job_canceled_with_force_says_what_a_board_on_trial_makes_of_it(
    cloud, device, tmp_path, command
):
    board = device(cloud, "trying")
    state = ("--state", cloud.state.root)
    document = tmp_path / "job.json"
    document.write_text('{"operation": "echo"}')
    line = ("job", "create", "--thing", "trying", "--document", document, *state)
    job = good(command(*line)).strip()
    board.next(), board.next()
    board.ask("jobs/start-next")
    plain = command("job", "cancel", job, *state)
    assert (good(plain), plain.stderr) == ("", ""), "what runs goes on: there is nothing to say"
    forced = command("job", "cancel", job, "--force", *state)
    assert good(forced) == "", "what a script reads stays as it was"
    assert forced.stderr == (
        "a board that has booted the new image already keeps it if it is healthy: "
        "its shadow and `sluice doctor` tell what runs\n"
    )
    assert "keeps it" not in refused(command("job", "cancel", job, "--force", *state))


def test_job_refusals_are_one_line(cloud, tmp_path, command):
    state = ("--state", cloud.state.root)
    cloud.thing("idle")
    good_document, bad_document = tmp_path / "good.json", tmp_path / "bad.json"
    good_document.write_text("{}")
    bad_document.write_text("{")

    def create(thing: str, document, *more) -> str:
        line = ("job", "create", "--thing", thing, "--document", document, *more)
        return refused(command(*line, *(() if "--state" in more else state)))

    assert "unknown thing ghost" in create("ghost", good_document)
    assert "is not JSON" in create("idle", bad_document)
    bad_document.write_text("[]")
    assert "not a JSON object" in create("idle", bad_document)
    for number in ("1e400", "-Infinity", "NaN"):
        bad_document.write_text(f'{{"operation": "echo", "x": {number}}}')
        assert "a number that is not finite" in create("idle", bad_document, "--any")
    assert "cannot read" in create("idle", tmp_path / "none.json")
    assert "has none of afr_ota, location" in create("idle", good_document)
    bad_document.write_text(
        '{"operation": "install", "packageName": "a", "files": [{"fileName": "b"}]}'
    )
    assert "files[0]: 'url' is a required property" in create("idle", bad_document)
    assert "no job id" in create("idle", good_document, "--id", "a.b")
    assert "there is no folder" in create("idle", good_document, "--state", tmp_path / "no")
    assert "unknown job none" in refused(command("job", "show", "none", *state))
    assert "unknown job none" in refused(command("job", "cancel", "none", *state))


def test_dead_cloud_whose_cloud_json_is_left_is_said_not_to_run(tmp_path, command):
    (tmp_path / "cloud.json").write_text('{"http_endpoint": "http://127.0.0.1:1"}')
    assert "no cloud runs" in refused(command("job", "list", "--state", tmp_path))
