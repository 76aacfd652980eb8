"""Bundles made of folders, files and this firmware: what is in them, and what is not."""

import subprocess

import pytest

from sluice import __version__
from sluice.bundle import make
from sluice.bundle.container import unpack
from sluice.compile import EXAMPLES, FIRMWARE, agreed_names, firmware_sources
from sluice.errors import SluiceError
from sluice.image.modules import device_modules

BOARD = "SIM_ESP32"


@pytest.fixture
def folder(tmp_path):
    """A function: {path: text} → a folder of it."""

    def write(files: dict[str, str]):
        for path, text in files.items():
            file = tmp_path / "app" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path / "app"

    return write


APP = {"app.py": "import driver\n", "driver.py": "x = 1\n", "data/table.json": "{}"}


def test_folder_becomes_an_application_compiled_with_its_data(folder):
    description, members = unpack(make.application(folder(APP), "1.2.0"))
    assert description == {"kind": "app", "mpy": 6, "version": "1.2.0"}
    assert list(members) == ["sluice.json", "app.mpy", "data/table.json", "driver.mpy"]
    assert members["app.mpy"].startswith(b"M\x06") and members["data/table.json"] == b"{}"


def test_folder_becomes_an_application_of_sources_where_that_is_wanted(folder):
    needs = {"agent": "0.1.0", "micropython": "1.23"}
    made = make.application(folder(APP), "1.2.0", sources=True, board=BOARD, needs=needs)
    description, members = unpack(made)
    assert description == {"board": BOARD, "kind": "app", "needs": needs, "version": "1.2.0"}
    assert members["driver.py"] == b"x = 1\n" and "driver.mpy" not in members


def test_file_becomes_the_app_whatever_its_name():
    _, members = unpack(make.application(EXAMPLES / "app.py", "1"))
    assert list(members) == ["sluice.json", "app.mpy"]


def test_file_of_another_name_becomes_the_app(folder):
    source = folder({"lamp.py": "x = 1\n"}) / "lamp.py"
    _, members = unpack(make.application(source, "1", sources=True))
    assert members["app.py"] == b"x = 1\n"


def test_what_nobody_means_to_deploy_is_left_out(folder):
    hidden = {
        "__pycache__/app.pyc": "",
        "data/__pycache__/x": "",
        ".git/config": "",
        ".env": "secret",
        "data/.x": "",
    }
    source = folder(APP | hidden)
    (source / "old.bundle").write_text("an earlier one")
    members = unpack(make.application(source, "1", out=source / "old.bundle"))[1]
    assert list(members) == ["sluice.json", "app.mpy", "data/table.json", "driver.mpy"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"driver.py": ""}, "has no app.py"),
        (APP | {"main.py": ""}, "main.mpy is the agent's own"),
        (APP | {"config.json": "{}"}, "config.json is the agent's own"),
        (APP | {"lib/x.py": ""}, "nothing in lib/ is"),
        (APP | {"driver.mpy": "M"}, "driver.mpy and its .py are the same module"),
        (APP | {"broken.py": "def broken(:\n"}, r"/broken\.py, line 1: invalid syntax$"),
        (APP | {"x.mpy": "no bytecode"}, "x.mpy is no .mpy"),
        (APP | {"données": ""}, "printable ASCII"),
    ],
)
def test_folder_of_what_a_board_would_refuse_is_refused(folder, files, said):
    with pytest.raises(SluiceError, match=said):
        make.application(folder(files), "1")


def test_source_that_is_none_is_refused(folder, tmp_path):
    text = folder({"notes.txt": ""}) / "notes.txt"
    for source, said in ((tmp_path / "none", "no such file"), (text, "no folder and no .py")):
        with pytest.raises(SluiceError, match=said):
            make.application(source, "1")
    with pytest.raises(SluiceError, match="no board 'TOASTER'"):
        make.application(EXAMPLES / "app.py", "1", board="TOASTER")
    with pytest.raises(SluiceError, match="a version has"):
        make.application(EXAMPLES / "app.py", "")


def test_link_to_nothing_is_refused(folder):
    source = folder(APP)
    (source / "gone").symlink_to(source / "none")
    with pytest.raises(SluiceError, match="a link to nothing"):
        make.application(source, "1")


# --- the agent -----------------------------------------------------------------------------------


def test_agent_is_this_firmware_for_a_board_without_the_starter():
    description, members = unpack(make.agent(BOARD, "0.9.0"))
    assert description == {"board": BOARD, "kind": "agent", "mpy": 6, "version": "0.9.0"}
    ours = {path.replace(".py", ".mpy") for path in firmware_sources()}
    ours -= {"main.mpy", "trees.mpy"}
    assert set(members) == ours | {"sluice.json", "board.mpy", "umqtt/simple.mpy"}
    assert b"0.9.0" in members["sluice/version.mpy"]
    compiled = device_modules(BOARD)
    same = ours - {"sluice/version.mpy"}
    assert all(members[path] == compiled[path] for path in same)
    assert make.agent_members(BOARD, "0.9.0") == members
    assert list(make.agent_members(BOARD, "0.9.0")) == list(members)


def test_agent_is_of_the_version_that_the_firmware_says():
    description, members = unpack(make.agent(BOARD))
    assert description["version"] == __version__
    assert __version__.encode() in members["sluice/version.mpy"]


def test_firmware_and_host_are_of_one_version():
    space: dict[str, str] = {}
    exec((FIRMWARE / "sluice/version.py").read_text(), space)
    assert space["VERSION"] == __version__


def test_name_of_the_version_stays_where_all_others_are_made_short():
    assert agreed_names() and "VERSION" not in agreed_names()
    assert b"VERSION" in device_modules(BOARD)["sluice/version.mpy"]


def test_agent_of_sources_is_readable():
    _, members = unpack(make.agent(BOARD, "0.9.0", sources=True))
    assert members["sluice/run.py"] == (FIRMWARE / "sluice/run.py").read_bytes()
    assert b'VERSION = "0.9.0"' in members["sluice/version.py"].replace(b"'", b'"')
    assert not [path for path in members if path.endswith(".mpy")]


def test_folder_of_an_agent_gets_what_it_lacks(folder):
    fork = {"sluice/run.py": "x = 1\n", "sluice/version.py": 'VERSION = "7.1"\n', "notes.md": ""}
    source = folder(fork | {"main.py": "", "app.py": ""})
    description, members = unpack(make.agent(BOARD, source=source))
    assert description["version"] == "7.1"
    wanted = ["board.mpy", "sluice/run.mpy", "sluice/version.mpy", "umqtt/simple.mpy"]
    assert list(members) == ["sluice.json", *wanted]
    own = {"board.py": "NAME = 'MINE'\n", "umqtt/simple.py": "y = 1\n"}
    _, members = unpack(make.agent("MINE", sources=True, source=folder(own)))
    assert members["board.py"] == b"NAME = 'MINE'\n"
    assert members["umqtt/simple.py"] == b"y = 1\n"


def test_folder_of_this_firmware_is_this_firmware(monkeypatch):
    monkeypatch.chdir(FIRMWARE.parent)
    assert make.agent(BOARD, source=FIRMWARE.relative_to(FIRMWARE.parent)) == make.agent(BOARD)


def test_folder_that_holds_no_agent_is_refused(folder):
    with pytest.raises(SluiceError, match="holds no folder sluice/"):
        make.agent(BOARD, "1", source=folder(APP))
    with pytest.raises(SluiceError, match="--version is needed"):
        make.agent(BOARD, source=folder({"sluice/run.py": ""}))
    with pytest.raises(SluiceError, match="no board 'TOASTER'"):
        make.agent("TOASTER")


def test_tool_that_fails_is_told(folder, monkeypatch):
    def run(*_: object, **__: object):
        raise subprocess.TimeoutExpired("mpy-cross", 60)

    monkeypatch.setattr("sluice.compile.subprocess.run", run)
    with pytest.raises(SluiceError, match="app.py: did not end"):
        make.application(folder(APP), "1")


def test_application_keeps_its_asserts_and_the_numbers_of_its_lines(tmp_path, micropython):
    (tmp_path / "source").mkdir()
    (tmp_path / "source/app.py").write_text(
        "def judge():\n    pass\n    assert 1 == 2, 'sensor'\n"
    )
    _, members = unpack(make.application(tmp_path / "source/app.py", "1.0.0"))
    (tmp_path / "made").mkdir()
    (tmp_path / "made/app.mpy").write_bytes(members["app.mpy"])
    script = "import app\ntry:\n    app.judge()\nexcept AssertionError as error:\n"
    script += "    import sys\n    sys.print_exception(error)\n"
    said = micropython(script, path=(tmp_path / "made",)).stdout
    assert 'File "app", line 3, in judge' in said and "AssertionError: sensor" in said
