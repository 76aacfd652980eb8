"""Which cloud a command is for, where that is said, and where it is not."""

import argparse
from pathlib import Path

import pytest
from typed import complaint, good, sluice

from sluice.cloud.state import State
from sluice.commands import cloud as cloud_command
from sluice.commands import where
from sluice.errors import SluiceError
from sluice.fleet.account import Account
from sluice.fleet.clients import clients

READING = [
    ("thing", "list"),
    ("thing", "show", "a"),
    ("fleet",),
    ("thing", "delete", "a"),
    ("job", "list"),
    ("job", "show", "a"),
    ("job", "cancel", "a"),
    ("product", "list"),
    ("product", "show", "a"),
    ("cloud", "env"),
    ("device", "run", "a"),
    ("flash", "--port", "none", "--thing", "a"),
    ("deploy", "--agent", "--thing", "a"),
]
MAKING = [("thing", "create", "a")]


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to type in, with no state."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SLUICE_STATE", raising=False)
    return tmp_path


def given(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    where.arguments(parser)
    return parser.parse_args(words)


def refusal(*words: object) -> str:
    """The one line of a refusal, whatever else is said to a shell."""
    done = sluice(*words)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done
    return done.stderr


# --- the state folder ---------------------------------------------------------------------------


@pytest.mark.parametrize("words", [*READING, *MAKING, ("cloud", "run")])
def test_without_a_state_folder_the_line_says_what_to_give(empty, words):
    (empty / "lab").mkdir()  # somebody's own
    said = refusal(*words)
    assert "say where: --state DIR" in said
    assert "$SLUICE_STATE is not set, and ./lab is not a state folder" in said
    assert list(empty.iterdir()) == [empty / "lab"] and not list((empty / "lab").iterdir())


@pytest.mark.parametrize("words", READING)
def test_command_that_reads_makes_no_folder_that_the_environment_names(empty, words, monkeypatch):
    monkeypatch.setattr(cloud_command, "READY_S", 0)
    monkeypatch.setenv("SLUICE_STATE", "mistyped")
    assert "mistyped, which $SLUICE_STATE names, is not a state folder" in refusal(*words)
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("words", READING)
def test_folder_that_is_not_there_or_of_no_state_is_said_to_be_so(empty, words, monkeypatch):
    monkeypatch.setattr(cloud_command, "READY_S", 0)
    assert refusal(*words, "--state", "nosuch") == "sluice: there is no folder nosuch\n"
    (empty / "mine").mkdir()
    said = refusal(*words, "--state", "mine")
    assert said == "sluice: mine is not a state folder: it holds no cloud, thing or board\n"
    assert list(empty.iterdir()) == [empty / "mine"]


def test_cloud_env_without_a_state_folder_fails_what_evaluates_it():
    assert sluice("cloud", "env").stdout == "false\n"


def test_thing_is_created_in_the_folder_that_the_environment_names(empty, monkeypatch):
    monkeypatch.setenv("SLUICE_STATE", "here")
    done = sluice("thing", "create", "pump")
    assert (done.returncode, done.stdout) == (0, "here/things/pump\n")
    assert done.stderr == "state folder: here ($SLUICE_STATE)\n"
    assert good("thing", "list") == "pump\n"


def test_lab_is_taken_where_it_is_a_state_folder_and_nothing_else_is_said(empty, monkeypatch):
    good("thing", "create", "pump", "--state", "lab")
    good("thing", "create", "fan", "--state", "other")
    listed = sluice("thing", "list")
    assert (listed.stdout, listed.stderr) == ("pump\n", "")
    assert good("thing", "list", "--state", "other") == "fan\n"
    assert sluice("thing", "delete", "pump").stderr == "state folder: lab (by default)\n"
    assert sluice("thing", "delete", "fan", "--state", "other").stderr == ""
    monkeypatch.setenv("SLUICE_STATE", "")  # as good as not set
    assert good("thing", "list") == ""
    monkeypatch.setenv("SLUICE_STATE", "other")
    assert good("thing", "create", "lamp") == "other/things/lamp\n"
    assert good("thing", "list", "--state", "lab") == ""


def test_state_of_things_alone_is_one_because_a_board_is_flashed_from_it(empty):
    (empty / "lab/things/pump").mkdir(parents=True)
    assert where.place(given()) == State(Path("lab"))
    assert "no cloud has been in lab" in complaint("thing", "list")


def test_state_of_a_board_alone_is_one_because_the_board_is_powered_on_again(empty):
    (empty / "lab/devices/pump").mkdir(parents=True)
    assert State(Path("lab")).there
    assert "no thing pump" in refusal("device", "run", "pump", "--state", "lab")


def test_default_becomes_what_the_other_options_go_by(empty):
    good("thing", "create", "pump", "--state", "lab")
    args = given()
    assert where.place(args) == State(Path("lab")) and args.state == Path("lab")


# --- AWS ----------------------------------------------------------------------------------------


def test_aws_is_meant_whatever_state_there_is(empty, monkeypatch):
    good("thing", "create", "pump", "--state", "lab")
    monkeypatch.setenv("SLUICE_STATE", "lab")
    line = ("--aws", "--profile", "work", "--region", "eu-west-1", "--endpoint-url", "http://x")
    args = given(*line)
    assert where.place(args) == Account("http://x", "work", "eu-west-1") and args.state is None
    assert where.place(given("--aws")) == Account()


@pytest.mark.parametrize("option", ["--profile", "--region", "--endpoint-url"])
def test_option_of_aws_is_refused_without_it(option):
    with pytest.raises(SluiceError, match=f"{option} is for --aws"):
        where.place(given("--state", "lab", option, "x"))
    with pytest.raises(SluiceError, match=f"{option} is for --aws"):
        where.place(given(option, "x"))


def test_both_clouds_at_once_are_refused():
    assert sluice("job", "list", "--state", "lab", "--aws").returncode == 2


def test_profile_and_region_are_those_that_boto3_signs_with(empty, monkeypatch):
    files = {
        "AWS_SHARED_CREDENTIALS_FILE": (
            "[work]\naws_access_key_id = WORK\naws_secret_access_key = s\n"
            "[home]\naws_access_key_id = HOME\naws_secret_access_key = s\n"
        ),
        "AWS_CONFIG_FILE": "[profile work]\nregion = eu-west-1\n",
    }
    for name, text in files.items():
        (empty / name).write_text(text)
        monkeypatch.setenv(name, str(empty / name))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    work = clients(Account(profile="work"))
    assert work.region == "eu-west-1" and not work.local
    assert work.iot._request_signer._credentials.access_key == "WORK"
    home = clients(Account(profile="home", region="us-west-2"))
    assert (home.region, home.iot.meta.region_name) == ("us-west-2", "us-west-2")
    assert home.iot._request_signer._credentials.access_key == "HOME"
    assert "us-west-2" in home.iot.meta.endpoint_url


@pytest.mark.parametrize(
    "words",
    [("job", "list"), ("thing", "list"), ("thing", "show", "a"), ("thing", "delete", "a")],
)
def test_profile_that_there_is_not_is_told_in_one_line(words, empty, monkeypatch):
    monkeypatch.setenv("AWS_CONFIG_FILE", str(empty / "none"))
    said = complaint(*words, "--aws", "--profile", "none-such")
    assert "config profile (none-such) could not be found" in said
    if words[-1] == "a" and "delete" in words:
        said = complaint(*words, "--aws", "--profile", "none-such", "--dry-run")
        assert "(none-such) could not be found" in said


def test_rehearsal_is_of_the_region_that_is_named():
    done = sluice("thing", "delete", "a", "--aws", "--region", "eu-north-1", "--dry-run")
    assert "arn:aws:iot:eu-north-1:" in done.stdout


@pytest.mark.parametrize("words", [("list",), ("show", "a"), ("order", "--gateway", "a")])
def test_product_orders_are_said_to_be_no_service_of_aws(words, empty):
    (empty / "a.bin").write_bytes(b"x")
    more = ("--device", "a=a.bin") if words[0] == "order" else ()
    said = complaint("product", *words, *more, "--aws")
    assert "AWS has no service that takes product orders" in said
    assert "--aws" not in sluice("product", words[0], "--help").stdout


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("deploy", "deploy what? an image, a bundle, a folder, a .py, or --agent"),
        ("deploy app.py", "app.py becomes a bundle of an application: which --version is it?"),
        ("deploy app.py --version 1", "whom for? --thing NAME or --group NAME"),
        ("deploy app.py --version 1 --thing a", "say where: --state DIR or --aws."),
        ("deploy --agent", "whom for? --thing NAME or --group NAME"),
        ("job create", "required: --document"),
        ("job create --document a.json", "whom for? --thing NAME or --group NAME"),
        ("job create --document a.json --thing a", "say where: --state DIR or --aws."),
        ("flash", "required: --port"),
        ("flash --port none", "say which thing the board is to be: --thing NAME"),
        ("flash --port none --thing a", "say where: --state DIR."),
        ("image make", "required: OUT"),
        ("image make a.bin --app none --merged", "--version V is needed"),
        ("bundle make", "required: OUT"),
        ("bundle make a.bundle", "what is a.bundle made of?"),
        ("bundle make app.py a.bundle", "an application has a version: --version V"),
    ],
)
def test_what_is_missing_is_told_in_the_order_of_the_usage(line, said, empty):
    (empty / "app.py").write_text("")
    (empty / "a.json").write_text('{"operation": "echo"}')
    done = sluice(*line.split())
    assert done.returncode and said in done.stderr and done.stderr.count("\n") == 1, done
