"""The command line's contract: commands with their help, and errors of one line."""

import contextlib
import errno
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from patience import FUSE_S
from typed import complaint, good, sluice

from sluice import __version__, cli, help_text, places
from sluice.cli import COMMANDS
from sluice.cloud.state import State
from sluice.device import install
from sluice.device.supervisor import Board
from sluice.errors import SluiceError
from sluice.image import make_image
from sluice.releases import DEFAULT, RELEASES
from sluice.signing import new_key
from sluice.version_word import unprefixed

FOLDER = Path(cli.__file__).parent / "commands"
SHARED = {"log_file", "story", "version", "where"}  # parts of commands
GROUPS = ("bundle", "cloud", "device", "image", "job", "product", "thing")  # with actions


# --- help ---------------------------------------------------------------------------------------


def test_every_module_of_commands_has_a_row():
    modules = {file.stem for file in FOLDER.glob("*.py")} - {"__init__"} - SHARED
    assert modules == set(COMMANDS.values())


@pytest.mark.parametrize("name", COMMANDS)
def test_command_has_help_that_begins_with_its_docstring(name, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    text = sys.modules[f"sluice.commands.{COMMANDS[name]}"].__doc__
    assert shown.startswith(f"usage: sluice {name} ")
    assert text.strip().splitlines()[0] in " ".join(shown.split())
    assert text.strip().splitlines()[0].endswith((".", ";", ":"))


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    shown = capsys.readouterr().out
    for name in COMMANDS:
        assert re.search(rf"^    {name}\s", shown, re.MULTILINE), name


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("demo", ["--state"]),
        ("cloud run", ["--state", "--port", "--http-port", "--faults"]),
        ("thing create", ["--state", "NAME"]),
        ("device run", ["--state", "--board", "--heap", "--cut-at", "--pty"]),
        ("flash", ["--port", "--thing", "--state", "--board"]),
        ("image make", ["--version", "--size", "--chip", "--self-test"]),
        ("image show", ["FILE", "--json"]),
        ("bundle make", ["DIR|FILE", "OUT", "--version", "--kind", "--board", "--sources"]),
        ("bundle show", ["FILE", "--json"]),
        ("sign", ["--key", "--new-key", "IMAGE"]),
        (
            "deploy",
            ["--thing", "--key", "--state", "--aws", "--protocol", "--wait", "--any", "--agent"],
        ),
        ("job create", ["--thing", "--document", "--id", "--state", "--aws"]),
        ("job list", ["--state", "--json"]),
        ("job show", ["--state", "--json", "ID"]),
        ("job cancel", ["--state", "--force", "ID"]),
    ],
)
def test_command_takes_what_other_programs_rely_on(command, words, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([*command.split(), "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert [word for word in words if word not in shown] == []


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("columns", [60, 80, 200])
def test_help_is_no_wider_than_the_terminal_and_keeps_its_commands(
    name, columns, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", str(columns))
    with pytest.raises(SystemExit):
        cli.main([name, "--help"])
    _, _, shown = capsys.readouterr().out.partition("\n\n")  # a usage has choices of one word
    assert [line for line in shown.splitlines() if len(line) > columns] == []
    text = sys.modules[f"sluice.commands.{COMMANDS[name]}"].__doc__
    for part in help_text.parts(text):
        for words, meaning in help_text.rows(part):
            assert re.search(f"^{re.escape(words)}(\n| {{4}})", shown, re.MULTILINE), words
            assert meaning in " ".join(shown.split())


def test_help_fills_prose_but_breaks_no_code_and_hangs_lists():
    text = "First line\nsecond `sluice job list` end\n\n1. one two three\n   four\n2. five\n"
    prose, listed = (help_text.shown(part, 22) for part in help_text.parts(text))
    assert prose == "First line second\n`sluice job list` end"
    assert listed == "1. one two three four\n2. five"
    assert help_text.shown("1. one two three four", 12) == "1. one two\n   three\n   four"
    table = "make A     it makes\nshow       it\n           shows"
    assert help_text.rows(table) == [("make A", "it makes"), ("show", "it shows")]
    assert help_text.shown(table, 34) == "make A    it makes\nshow      it shows"
    assert help_text.shown(table, 33) == "make A\n    it makes\nshow\n    it shows"


@pytest.mark.parametrize(
    "command", ["deploy", "thing create", "thing delete", "job create", "job cancel"]
)
def test_help_says_what_was_not_tried(command, capsys):
    with pytest.raises(SystemExit):
        cli.main([*command.split(), "--help"])
    assert "never tried against AWS" in " ".join(capsys.readouterr().out.split())


def test_version_is_told_with_the_commit_and_the_release_of_micropython():
    said = good_of(cli.main, "--version")
    told = re.fullmatch(r"sluice (\S+), MicroPython (\S+), commit (\S+)\n", said)
    assert told and told[1] == __version__ and told[2] == RELEASES[DEFAULT].version
    assert told[3] == places.commit()


def good_of(call: Callable[..., int], *words: str) -> str:
    """What a command prints that ends by itself."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as ended:
        call(list(words))
    assert not ended.value.code
    return printed.getvalue()


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({}, "unknown"),
        ({"COMMIT": "abc1234\n"}, "abc1234"),
        ({".git": "gitdir: /nowhere\n"}, "unknown"),
    ],
    ids=["nothing", "built", "broken"],
)
def test_commit_is_what_the_build_wrote_or_unknown(tmp_path, made, said):
    for name, text in made.items():
        (tmp_path / name).write_text(text, encoding="ascii")
    assert places.commit(tmp_path) == said


def test_commit_of_a_checkout_is_what_git_says_and_that_files_differ(tmp_path):
    who = ("git", "-C", str(tmp_path), "-c", "user.name=A", "-c", "user.email=a@example.com")
    (tmp_path / "a").write_text("1", encoding="ascii")
    for words in (("init", "-q"), ("add", "a"), ("commit", "-q", "-m", "A."), ("tag", "v1")):
        subprocess.run([*who, *words], check=True, timeout=FUSE_S)
    command = [*who, "rev-parse", "--short", "HEAD"]
    head = subprocess.run(command, capture_output=True, text=True, timeout=FUSE_S).stdout.strip()
    assert places.commit(tmp_path) == head
    (tmp_path / "a").write_text("2", encoding="ascii")
    assert places.commit(tmp_path) == f"{head}+"
    (tmp_path / "within").mkdir()
    assert places.commit(tmp_path / "within") == "unknown"


# --- what is loaded -----------------------------------------------------------------------------

HEAVY = (  # packages that help has no use for
    *("boto3", "cryptography", "esptool", "jsonschema", "rich", "littlefs", "paho", "uvicorn"),
    *("cbor2", "bsdiff4", "shtab", "asyncio", "mpremote.transport_serial", "botocore.client"),
)
LOADED_MAX = {"--help": 40, "--version": 60}  # modules beside those that argparse needs
OF_A_COMMAND = 250
COUNT = """
import argparse, sys
before = set(sys.modules)
from sluice.cli import main
try:
    main(sys.argv[1:])
finally:
    print("\\0", *set(sys.modules) - before)
"""


def loaded(*words: str) -> set[str]:
    """The modules that a process of its own has loaded in the end."""
    command = [sys.executable, "-c", COUNT, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=FUSE_S)
    return set(done.stdout.rpartition("\0")[2].split())


@pytest.mark.parametrize("option", LOADED_MAX)
def test_help_and_version_load_next_to_nothing(option):
    found = loaded(option)
    assert "sluice.cli" in found and len(found) <= LOADED_MAX[option], sorted(found)
    assert not {name for name in found if name.startswith("sluice.commands.")}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_loads_no_other_command_and_no_heavy_library(name):
    found = loaded(name, "--help")
    commands = {word for word in found if word.startswith("sluice.commands.")}
    shared = {f"sluice.commands.{part}" for part in SHARED}
    assert commands - shared == {f"sluice.commands.{COMMANDS[name]}"}
    assert not found & set(HEAVY) and len(found) <= OF_A_COMMAND, sorted(found)


def test_command_loads_what_it_needs_and_no_other_command(tmp_path):
    found = loaded("image", "show", str(tmp_path / "none"))
    assert {name for name in found if name.startswith("sluice.commands.")} == {
        "sluice.commands.image"
    }
    assert not found & {"boto3", "cryptography", "rich"}


# --- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("depoy", "sluice: unknown command depoy: did you mean deploy?"),
        ("dance", "sluice: unknown command dance ("),
        ("--verson", "sluice: unknown option --verson: did you mean --version?"),
        ("job crate", "sluice job: unknown action crate: did you mean create?"),
        ("deploy a.bin --sttae lab", "sluice deploy: unknown option --sttae: did you mean --stat"),
        ("sign a.bin --kye=b", "sluice sign: unknown option --kye: did you mean --key?"),
        ("image make a --chip esp23", "--chip: esp23 is none of esp32, "),
        ("completion fsh", "fsh is none of bash, zsh, fish: did you mean fish?"),
        ("cloud run --port x", "argument --port: invalid port value: 'x'"),
        ("image make", "required: OUT"),
    ],
)
def test_mistake_is_one_line_with_the_likely_word_and_exit_code_2(line, said, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(line.split())
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and said in err, err
    assert err.endswith(" --help tells more)\n")


@pytest.mark.parametrize("line", ["", *(name for name in COMMANDS if name in GROUPS)])
def test_command_without_its_action_shows_its_help_on_stderr_and_exits_with_2(line, capsys):
    ended = []
    for words in (line.split(), [*line.split(), "--help"]):
        with pytest.raises(SystemExit) as error:
            cli.main(words)
        ended.append((error.value.code, *capsys.readouterr()))
    (code, out, err), (_, wanted, _) = ended
    assert (code, out, err) == (2, "", wanted)


# --- errors -------------------------------------------------------------------------------------


def test_error_of_several_lines_is_told_in_one(monkeypatch, capsys):
    failing(monkeypatch, SluiceError("first\n  second\n"))
    assert cli.main(["sign", "x", "--key", "y"]) == 1
    assert capsys.readouterr().err == "sluice: first second\n"


def test_interrupt_ends_with_130_and_without_a_word(monkeypatch, capsys):
    failing(monkeypatch, KeyboardInterrupt())
    assert cli.main(["sign", "x", "--key", "y"]) == 130
    assert capsys.readouterr() == ("", "")


def test_interrupt_while_a_command_is_loaded_ends_with_130(monkeypatch, capsys):
    def load(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "import_module", load)
    assert cli.main(["sign", "x", "--key", "y"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "a/b"), "a/b: Permission denied"),
        (OSError(errno.ENOSPC, "No space left"), "[Errno 28] No space left"),
        (subprocess.TimeoutExpired(["dpkg"], 60), "Command '['dpkg']' timed out after 60 seconds"),
    ],
)
def test_error_of_the_system_is_told_in_one_line(monkeypatch, capsys, error, said):
    failing(monkeypatch, error)
    assert cli.main(["sign", "x", "--key", "y"]) == 1
    assert capsys.readouterr().err == f"sluice: {said}\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_nobody_takes_is_no_traceback(tmp_path, unbuffered):
    (tmp_path / "a.bin").write_bytes(make_image("1.0.0", modules={"main.py": ""}))
    reading, nobody = os.pipe()
    os.close(reading)
    for output, code in ((nobody, 128 + signal.SIGPIPE), (os.open("/dev/full", os.O_WRONLY), 1)):
        done = subprocess.run(
            [sys.executable, "-m", "sluice.cli", "image", "show", tmp_path / "a.bin"],
            stdout=output,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
            timeout=FUSE_S,
        )
        os.close(output)
        assert (done.returncode, done.stderr.count(b"\n")) == (code, int(code == 1)), done
        assert b"Traceback" not in done.stderr


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def run(args: object) -> None:
        raise error

    monkeypatch.setattr("sluice.commands.sign.digest", run)


def test_commands_that_need_a_cloud_say_that_none_runs(tmp_path):
    document, state = tmp_path / "a.json", tmp_path / "state"
    document.write_text("{}")
    (state / "things").mkdir(parents=True)
    for words in (
        ("job", "list"),
        ("job", "show", "a"),
        ("job", "cancel", "a"),
        ("job", "create", "--thing", "a", "--document", document),
    ):
        assert "no cloud runs" in complaint(*words, "--state", state)
    assert list(state.iterdir()) == [state / "things"]


def test_thing_and_device_refusals(tmp_path):
    state = ("--state", tmp_path)
    assert "no thing name" in complaint("thing", "create", "a b", *state)
    (tmp_path / "things").mkdir()
    assert "no cloud has been" in complaint("thing", "list", *state)
    made = f"`sluice thing create lamp --state {tmp_path}` makes it"
    spaced = tmp_path / "a lab"
    (spaced / "things").mkdir(parents=True)
    complained = complaint("device", "run", "lamp", "--state", spaced)
    assert f" lamp --state '{spaced}'` makes" in complained
    start = f"start it with `sluice cloud run --state '{spaced}'`"
    assert start in complaint("job", "list", "--state", spaced)
    assert complaint("device", "run", "lamp", *state).endswith(f"is missing; {made}\n")
    (tmp_path / "things/lump").mkdir()
    (tmp_path / "things/lump/config.json").write_text("{}")
    assert complaint("device", "run", "lamp", *state).endswith("; did you mean lump?\n")
    assert "not a thing's name" in complaint("device", "run", "../lamp", *state)
    assert "no board 'TOASTER'" in complaint("device", "run", "lamp", "--board", "TOASTER", *state)
    assert "not a heap size" in complaint("device", "run", "lamp", "--heap", "much", *state)
    assert "counted from 1" in complaint("device", "run", "lamp", "--cut-at", 0, *state)
    (tmp_path / "devices").write_text("in the way")
    said = complaint("device", "run", "lamp", "--blank", *state)
    assert said == f"sluice: {tmp_path}/devices/lamp: Not a directory\n"


def test_board_that_is_ended_while_it_is_made_does_not_run(tmp_path, monkeypatch, release):
    monkeypatch.setattr(Board, "make", lambda self: signal.raise_signal(signal.SIGTERM))
    monkeypatch.setattr(install, "model", lambda *_: pytest.fail("it goes on"))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert cli.main(["device", "run", "lamp", "--state", str(tmp_path), "--blank"]) == 130
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def test_image_refusals(tmp_path):
    out, text = tmp_path / "a.bin", tmp_path / "text"
    text.write_text("no image")
    make = ("image", "make", out, "--version", "1.0.0")
    assert "too few" in complaint(*make, "--size", 100)
    assert "too many" in complaint(*make, "--size", 99_999_999_999)
    assert "no such file" in complaint(*make, "--app", tmp_path / "none.py")
    assert "printable" in complaint("image", "make", out, "--version", "x" * 32)
    assert "cannot write" in complaint("image", "make", tmp_path / "no/a", "--version", "1")
    assert "cannot read" in complaint("image", "show", tmp_path / "none")
    assert "not an app image" in complaint("image", "show", text)
    assert not out.exists()


def test_image_whose_application_does_not_compile_is_refused(tmp_path):
    app = tmp_path / "app.py"
    app.write_text("def broken(:\n")
    line = ("image", "make", tmp_path / "a.bin", "--version", "1.0.0", "--app", app)
    assert complaint(*line) == f"sluice: {app}, line 1: invalid syntax\n"


@pytest.mark.parametrize("given", ["v1.4", "1.4"])
def test_version_is_taken_without_the_v_in_front(given, tmp_path):
    app, out = tmp_path / "app.py", tmp_path / "out"
    app.write_text("")
    assert "version 1.4," in good("image", "make", out, "--bare", "--version", given)
    assert "version 1.4," in good("bundle", "make", app, out, "--version", given)
    assert '"version": "1.4"' in good("bundle", "show", out, "--json")
    words = ("--version", given, "--needs-agent", given, "--needs-micropython", given)
    assert "version 1.4," in good("bundle", "make", app, out, *words)
    lab = tmp_path / "lab"
    (lab / "things").mkdir(parents=True)
    new_key(lab / "signer.key")
    line = ("--version", given, "--thing", "pump", "--state", lab, "--dry-run")
    assert "version 1.4," in sluice("deploy", app, *line).stderr


def test_version_that_begins_with_another_v_is_left_alone():
    assert [unprefixed(text) for text in ("vega", "v", "")] == ["vega", "v", ""]


def test_image_that_is_cut_off_is_refused_by_show(tmp_path):
    file = tmp_path / "a.bin"
    file.write_bytes(make_image("1.0.0", modules={"main.py": ""})[:-20])
    assert "bad" in complaint("image", "show", file)


def test_cloud_refusals(tmp_path):
    faults, folder = tmp_path / "faults.json", tmp_path / "file"
    folder.write_text("in the way")
    faults.write_text('{"dragons": {}}')
    run = ("cloud", "run", "--port", 0, "--http-port", 0, "--state")
    assert "dragons" in complaint(*run, tmp_path / "state", "--faults", faults)
    assert "cannot read" in complaint(*run, tmp_path / "state", "--faults", tmp_path / "none")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = ("cloud", "run", "--state", tmp_path / "state", "--http-port")
        assert str(port) in complaint(*line, 0, "--port", port)
        assert str(port) in complaint(*line, port, "--port", 0)
    assert not (tmp_path / "state/cloud.json").exists()


def test_demo_leaves_a_cloud_alone_that_runs_in_its_state_folder(tmp_path):
    state = State(tmp_path)
    state.ready.write_text("{}")
    with state.lock():
        assert "a cloud runs in" in complaint("demo", "--state", tmp_path)
    assert state.ready.read_text() == "{}"


def test_state_that_is_a_file_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("in the way")
    for words in (
        ("cloud", "run", "--port", 0, "--http-port", 0),
        ("thing", "create", "lamp"),
        ("device", "run", "lamp"),
        ("job", "list"),
        ("demo",),
    ):
        complaint(*words, "--state", file)
    assert file.read_text() == "in the way"


def test_image_show_as_json_is_one_object(tmp_path):
    file = tmp_path / "a.bin"
    file.write_bytes(make_image("1.0.0", 60_000, modules={"main.py": ""}))
    done = sluice("image", "show", file, "--json")
    shown = json.loads(done.stdout)
    assert (shown["version"], shown["size"], shown["chip"]) == ("1.0.0", 60_000, "esp32")
