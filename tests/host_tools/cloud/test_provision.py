"""`sluice thing … --aws`: the very calls for AWS, made to the local cloud by AWS_ENDPOINT_URL."""

import base64
import json
import queue
import re
import stat
import subprocess
import textwrap
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from cloud_process import Device
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from patience import FUSE_S
from typed import sluice

from sluice.cli import main
from sluice.compile import ROOT
from sluice.errors import SluiceError
from sluice.flash import contents
from sluice.fleet import provision
from sluice.fleet.root_ca import amazon
from sluice.signing import new_key

KEYS = {"AWS_ENDPOINT_URL", "SLUICE_CA", "SLUICE_MQTT_PORT"}


@pytest.fixture
def account(cloud, monkeypatch):
    """The local cloud in AWS's place, as `sluice cloud env` says."""
    done = sluice("cloud", "env", "--state", cloud.state.root)
    variables = dict(re.findall(r"^export (\w+)=(.*)$", done.stdout, re.MULTILINE))
    assert variables.keys() >= KEYS
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return cloud.client("iot")


def good(done: subprocess.CompletedProcess) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(done: subprocess.CompletedProcess) -> str:
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done
    return done.stderr


def calls(text: str) -> list[tuple[str, dict]]:
    """What a rehearsal printed: (service.Operation, parameters); a text below is one of them."""
    found = []
    for lines in re.findall(r"^(\S+) (.+)\n((?: .*\n|\n)*)", text, re.MULTILINE):
        name, parameters, below = lines
        stated = json.dumps(textwrap.dedent(below))
        wanted = re.sub(r'"<\w+ below>"', lambda _, stated=stated: stated, parameters)
        found.append((name, json.loads(wanted)))
    return found


def certificates(iot, thing: str) -> list[str]:
    return iot.list_thing_principals(thingName=thing)["principals"]


def test_thing_at_aws_has_all_that_a_board_needs_and_speaks(account, tmp_path):
    printed = good(sluice("thing", "create", "far", "--aws", "--out", tmp_path))
    folder = tmp_path / "things/far"
    assert printed == f"{folder}\n"
    key = serialization.load_pem_private_key((folder / "private.pem.key").read_bytes(), None)
    certificate = x509.load_pem_x509_certificate((folder / "certificate.pem.crt").read_bytes())
    assert certificate.public_key() == key.public_key()
    assert stat.S_IMODE((folder / "private.pem.key").stat().st_mode) == 0o600
    assert (folder / "signer.crt").read_bytes() == (tmp_path / "signer.crt").read_bytes()
    [principal] = certificates(account, "far")
    [policy] = account.list_attached_policies(target=principal)["policies"]
    assert policy["policyName"] == "sluice-device"
    board = Device(folder)
    try:
        codes = board.subscribe(f"{board.topic}/jobs/notify-next", f"{board.topic}/jobs/get/+")
        assert not any(code.is_failure for code in codes)
        assert board.subscribe(f"{board.topic}/jobs/notify")[0].is_failure  # the policy decides
        assert board.ask("jobs/get")[0] == "jobs/get/accepted"
    finally:
        board.close()
    assert "exists already" in refused(
        sluice("thing", "create", "far", "--aws", "--out", tmp_path)
    )
    other = tmp_path / "other"
    assert "exists already" in refused(sluice("thing", "create", "far", "--aws", "--out", other))
    assert certificates(account, "far") == [principal]


def test_policy_is_that_of_the_documentation_with_region_and_account(account, tmp_path):
    good(sluice("thing", "create", "ruled", "--aws", "--out", tmp_path))
    document = account.get_policy(policyName="sluice-device")["policyDocument"]
    text = (ROOT / "docs/thing-policy.json").read_text()
    wanted = text.replace("YOUR-REGION", "us-east-1").replace("YOUR-ACCOUNT", "123456789012")
    assert json.loads(document) == json.loads(wanted)
    assert "YOUR-" not in document
    assert len(document) <= 2048  # AWS's limit


def test_key_may_be_made_by_aws(account, tmp_path):
    good(sluice("thing", "create", "lazy", "--aws", "--aws-keys", "--out", tmp_path))
    folder = tmp_path / "things/lazy"
    key = serialization.load_pem_private_key((folder / "private.pem.key").read_bytes(), None)
    certificate = x509.load_pem_x509_certificate((folder / "certificate.pem.crt").read_bytes())
    assert certificate.public_key() == key.public_key()


@pytest.fixture
def request_file(tmp_path):
    """A signing request whose key is elsewhere, as in a secure element; and its public key."""
    key = ec.generate_private_key(ec.SECP256R1())
    file = tmp_path / "pump.csr"
    file.write_text(provision.signing_request(key))
    return file, key.public_key()


@pytest.mark.parametrize("where", ["aws", "here"])
def test_key_may_stay_elsewhere_and_only_its_request_be_given(
    account, cloud, tmp_path, request_file, where
):
    file, public = request_file
    name, root = f"sealed-{where}", {"aws": tmp_path, "here": cloud.state.root}[where]
    words = {"aws": ("--aws", "--out", root), "here": ("--state", root)}[where]
    line = ("thing", "create", name, *words, "--csr", file)
    good(sluice(*line))
    folder = root / "things" / name
    certificate = x509.load_pem_x509_certificate((folder / "certificate.pem.crt").read_bytes())
    assert certificate.public_key() == public
    assert not (folder / "private.pem.key").exists()
    with pytest.raises(SluiceError, match=f"put it into {folder}/private.pem.key$"):
        contents.identity(root, name)


def test_rehearsal_shows_the_request_that_was_given(request_file):
    line = ("thing", "create", "ghost", "--aws", "--dry-run", "--csr", request_file[0])
    [given] = [given for name, given in calls(good(sluice(*line))) if "Csr" in name]
    assert given["certificateSigningRequest"] == request_file[0].read_text()


@pytest.mark.parametrize("where", [("--aws", "--dry-run"), ("--state", "lab")])
def test_request_that_is_none_is_refused_in_one_line(tmp_path, request_file, where):
    file, bad = request_file[0], tmp_path / "bad.csr"
    line = ("thing", "create", "ghost", *where, "--csr")
    assert "--aws-keys" in refused(sluice(*line, file, "--aws-keys"))
    assert "cannot read" in refused(sluice(*line, bad))
    flipped = bytearray(base64.b64decode("".join(file.read_text().splitlines()[1:-1])))
    flipped[-1] ^= 1
    bad.write_text(x509.load_der_x509_csr(bytes(flipped)).public_bytes(Encoding.PEM).decode())
    assert "its own key" in refused(sluice(*line, bad))
    bad.write_bytes(b"\xff none")
    assert "signing request" in refused(sluice(*line, bad))


def test_thing_is_deleted_with_certificate_files_and_the_last_ones_policy(account, tmp_path):
    mine = ("--aws", "--out", tmp_path, "--policy", "of-these-two")
    for name in ("twin1", "twin2"):
        good(sluice("thing", "create", name, *mine))
    [first], [second] = certificates(account, "twin1"), certificates(account, "twin2")
    good(sluice("thing", "delete", "twin1", "--aws", "--out", tmp_path))
    assert not (tmp_path / "things/twin1").exists()
    with pytest.raises(ClientError, match="unknown thing"):
        account.describe_thing(thingName="twin1")
    with pytest.raises(ClientError, match="unknown certificate"):
        account.describe_certificate(certificateId=first.rpartition("/")[2])
    assert account.list_targets_for_policy(policyName="of-these-two")["targets"] == [second]
    good(sluice("thing", "delete", "twin2", "--aws", "--out", tmp_path))
    with pytest.raises(ClientError, match="unknown policy"):
        account.get_policy(policyName="of-these-two")
    assert "unknown thing" in refused(sluice("thing", "delete", "twin2", "--aws"))


def test_thing_joins_groups_that_are_made_if_missing(account, cloud, tmp_path):
    good(sluice("thing", "create", "far1", "--aws", "--out", tmp_path, "--group", "south"))
    here = ("--state", cloud.state.root)
    good(sluice("thing", "create", "near1", *here, "--group", "south", "--group", "east"))
    things = account.list_things_in_thing_group(thingGroupName="south")["things"]
    assert things == ["far1", "near1"]
    assert account.list_things_in_thing_group(thingGroupName="east")["things"] == ["near1"]


def test_certificate_of_two_things_outlives_one_of_them(account, tmp_path):
    good(sluice("thing", "create", "shared1", "--aws", "--out", tmp_path))
    [principal] = certificates(account, "shared1")
    account.create_thing(thingName="shared2")
    account.attach_thing_principal(thingName="shared2", principal=principal)
    good(sluice("thing", "delete", "shared1", "--aws", "--out", tmp_path))
    assert certificates(account, "shared2") == [principal]


def test_policy_that_says_something_else_is_neither_used_nor_deleted(account, tmp_path):
    document = '{"Version":"2012-10-17","Statement":[]}'
    account.create_policy(policyName="foreign", policyDocument=document)
    line = ("thing", "create", "alien", "--aws", "--out", tmp_path, "--policy", "foreign")
    assert "says something else" in refused(sluice(*line))
    with pytest.raises(ClientError, match="unknown thing"):  # nothing is left behind
        account.describe_thing(thingName="alien")
    assert not (tmp_path / "things/alien").exists()
    assert account.get_policy(policyName="foreign")["policyDocument"] == document


@pytest.mark.parametrize("failing", ["create_certificate_from_csr", "attach_thing_principal"])
def test_provisioning_that_fails_half_way_leaves_nothing(account, monkeypatch, failing):
    def refuse(**given) -> None:
        error = {"Error": {"Code": "ThrottlingException", "Message": "slow down"}}
        raise ClientError(error, failing)

    before = [row["certificateId"] for row in certified(account)]
    monkeypatch.setattr(account, failing, refuse)
    with pytest.raises(ClientError, match="slow down"):
        provision.provision(account, "half", f"half-{failing}")
    with pytest.raises(ClientError, match="unknown thing"):
        account.describe_thing(thingName="half")
    with pytest.raises(ClientError, match="unknown policy"):
        account.get_policy(policyName=f"half-{failing}")
    assert [row["certificateId"] for row in certified(account)] == before


def certified(iot) -> list[dict]:
    return iot.list_certificates()["certificates"]


def test_rehearsal_makes_the_calls_of_the_real_thing_and_changes_nothing(
    account, tmp_path, monkeypatch
):
    rehearsed = calls(good(sluice("thing", "create", "ghost", "--aws", "--dry-run")))
    with pytest.raises(ClientError, match="unknown thing"):
        account.describe_thing(thingName="ghost")
    made: list[str] = []
    account.meta.events.register("before-call", lambda model, **_: made.append(model.name))
    policy = f"only-{tmp_path.name}"
    provision.broker(account)
    provision.provision(account, "ghost", policy)
    assert [name for name, _ in rehearsed] == [f"iot.{name}" for name in made]
    made.clear()
    provision.remove(account, "ghost")
    rehearsed = calls(good(sluice("thing", "delete", "ghost", "--aws", "--dry-run")))
    assert [name for name, _ in rehearsed] == [f"iot.{name}" for name in made]
    assert "PRIVATE" not in json.dumps(rehearsed)


def test_rehearsal_needs_no_region_and_no_credentials(monkeypatch, tmp_path):
    for name in ("AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    printed = good(sluice("thing", "create", "ghost", "--aws", "--dry-run", "--out", tmp_path))
    assert "iot.CreateThing" in printed
    assert list(tmp_path.iterdir()) == []
    missing = refused(sluice("thing", "create", "ghost", "--aws", "--out", tmp_path))
    assert "region" in missing


def test_board_of_another_broker_needs_its_root_certificate(account, monkeypatch, tmp_path):
    monkeypatch.delenv("SLUICE_CA")
    line = ("thing", "create", "rootless", "--aws", "--out", tmp_path)
    assert "--ca" in refused(sluice(*line))
    text = tmp_path / "no.pem"
    text.write_text("no certificate")
    assert "not a PEM certificate" in refused(sluice(*line, "--ca", text))
    with pytest.raises(ClientError, match="unknown thing"):
        account.describe_thing(thingName="rootless")


def test_root_certificate_of_aws_is_that_of_boto3():
    certificate = x509.load_pem_x509_certificate(amazon())
    certificate.verify_directly_issued_by(certificate)
    assert certificate.subject.rfc4514_string() == "CN=Amazon Root CA 1,O=Amazon,C=US"


def test_endpoint_url_is_taken_from_the_command_line_too(account, monkeypatch, tmp_path):
    address = account.meta.endpoint_url
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    line = ("thing", "create", "pointed", "--aws", "--out", tmp_path, "--endpoint-url")
    good(sluice(*line, address))
    assert account.describe_thing(thingName="pointed")["thingName"] == "pointed"
    (tmp_path / "things/pointed").rename(tmp_path / "elsewhere")
    assert "nowhere" in refused(sluice(*line, "nowhere"))


def test_thing_of_a_local_cloud_is_deleted_whether_or_not_that_runs(tmp_path, command):
    state = ("--state", tmp_path)
    good(command("thing", "create", "pump", *state))
    good(command("thing", "delete", "pump", *state))
    assert not (tmp_path / "things/pump").exists()
    assert json.loads(good(command("thing", "list", "--json", *state))) == []
    assert "unknown thing" in refused(command("thing", "delete", "pump", *state))
    good(command("thing", "create", "pump", *state))
    assert "for --aws" in refused(command("thing", "delete", "pump", "--dry-run", *state))
    assert "for --aws" in refused(command("thing", "delete", "pump", "--out", tmp_path, *state))
    assert (tmp_path / "things/pump").exists()
    (tmp_path / "things/pump").rename(tmp_path / "vault")
    (tmp_path / "things/pump").symlink_to(tmp_path / "vault")  # which is not removed
    said = refused(command("thing", "delete", "pump", *state))
    assert "pump is deleted, but not its files, the private key among them" in said
    assert (tmp_path / "vault/private.pem.key").exists()


@pytest.mark.parametrize(
    "words",
    [("--aws-keys",), ("--ca", "f"), ("--port", 1), ("--policy", "p"), ("--out", "o")],
    ids=lambda words: words[0],
)
def test_thing_of_a_local_cloud_takes_no_options_of_aws(tmp_path, capsys, words):
    line = ("thing", "create", "pump", "--state", tmp_path / "lab", *words)
    assert main([str(word) for word in line]) == 1
    assert capsys.readouterr().err == f"sluice: only for --aws: {words[0]}\n"
    assert not (tmp_path / "lab").exists()


@pytest.mark.parametrize("there", [False, True])
def test_git_takes_no_private_key(account, tmp_path, monkeypatch, capsys, there):
    """Nothing of a folder that was made; of one that was there, no thing's files."""
    monkeypatch.chdir(tmp_path)
    git = ["git", "-c", "init.defaultBranch=main"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    if there:
        Path("fleet").mkdir()
    aws = ["--aws", "--out", "fleet"]
    for where in (["--state", "lab"], aws):
        assert main(["thing", "create", f"kept-{there}", *where]) == 0, capsys.readouterr().err
    listed = ["status", "--porcelain", "--untracked-files=all"]
    seen = subprocess.run([*git, *listed], check=True, capture_output=True, text=True).stdout
    assert seen.split()[1::2] == (["fleet/signer.crt", "fleet/signer.key"] if there else [])
    assert Path(f"fleet/things/kept-{there}/private.pem.key").exists()


def test_thing_of_a_local_cloud_may_trust_another_signer(tmp_path, capsys):
    mine = new_key(tmp_path / "mine.key")
    line = ["thing", "create", "pump", "--state", str(tmp_path / "lab"), "--signer", str(mine)]
    assert main(line) == 0
    assert (tmp_path / "lab/things/pump/signer.crt").read_bytes() == mine.read_bytes()
    assert main([*line[:-1], str(tmp_path / "mine.key")]) == 1
    assert "not a PEM certificate" in capsys.readouterr().err


def test_thing_deleted_while_the_cloud_runs_cannot_publish_any_more(cloud, device):
    board = device(cloud, "fading")
    good(sluice("thing", "delete", "fading", "--state", cloud.state.root))
    board.patience_s = 0.5
    deadline = time.monotonic() + FUSE_S
    with pytest.raises(queue.Empty):  # once the broker has been told, nobody answers
        while time.monotonic() < deadline:
            board.ask("jobs/get")


def test_things_of_an_account_are_listed(account, tmp_path):
    good(sluice("thing", "create", "listed", "--aws", "--out", tmp_path))
    account.create_thing(thingName="listed-bare")
    printed = good(sluice("thing", "list", "--aws"))
    assert {"listed", "listed-bare"} <= {line.split()[0] for line in printed.splitlines()}
    rows = json.loads(good(sluice("thing", "list", "--aws", "--json")))
    assert {"listed", "listed-bare"} <= {row["thingName"] for row in rows}
