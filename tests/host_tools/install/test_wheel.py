"""The wheel outside of a checkout: what is in it, and that it does what the checkout does."""

import hashlib
import json
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from installation import Installed, built, called
from patience import FUSE_S, LONG_S

from sluice.bundle import make
from sluice.compile import ROOT
from sluice.image import make_image
from sluice.toolchain import RELEASES

WORKS = ("firmware", "boards", "docs", "host_tools")
pytestmark = pytest.mark.usefixtures("release")


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


# --- what is in it ------------------------------------------------------------------------------


def test_wheel_has_every_file_of_the_checkout_that_it_needs_and_no_other(wheel, copy):
    packed = {name for name in contents(wheel) if ".dist-info/" not in name}
    tracked = called("git", "ls-files", "-z", cwd=copy).split("\0")
    wanted = {name for name in tracked if name.split("/")[0] in WORKS or is_page(name)}
    ours = {name for name in wanted if name.startswith("host_tools/")}
    expected = {f"sluice/{name.removeprefix('host_tools/')}" for name in ours}
    expected |= {f"sluice/checkout/{name}" for name in wanted - ours}
    assert packed == expected | {"sluice/checkout/COMMIT"}


def is_page(name: str) -> bool:
    return name.endswith(".md") and "/" not in name


def test_source_distribution_makes_the_same_wheel(wheel, copy, tmp_path):
    script = "import sys; from setuptools.build_meta import build_sdist as b; b(sys.argv[1])"
    called(sys.executable, "-c", script, tmp_path, cwd=copy)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "unpacked", filter="data")
    (folder,) = (tmp_path / "unpacked").iterdir()
    assert (folder / "LICENSE").is_file() and (folder / "tests/conftest.py").is_file()
    (tmp_path / "again").mkdir()
    stale = folder / "build/lib/sluice/stale.py"  # of an earlier build there
    stale.parent.mkdir(parents=True)
    stale.touch()
    assert contents(built(folder, tmp_path / "again")) == contents(wheel)


def test_metadata_says_what_it_is_and_under_which_licence(wheel):
    packed = contents(wheel)
    (about,) = (text.decode() for name, text in packed.items() if name.endswith("/METADATA"))
    lines = about.split("\n\n")[0].splitlines()
    for line in ("Name: sluice", "License-Expression: MIT", "License-File: LICENSE"):
        assert line in lines
    fields = {line.partition(": ")[0] for line in lines}
    assert {"Summary", "Author", "Keywords", "Classifier", "Requires-Python"} <= fields
    assert "Description-Content-Type: text/markdown" in lines


# --- what it does -------------------------------------------------------------------------------


def test_version_names_the_commit_that_the_wheel_was_built_of(installed):
    said = installed.does("--version").stdout
    assert f"commit {installed.commit}" in said and RELEASES["1.25"].version in said


def test_nothing_of_the_checkout_is_imported(installed):
    script = "import sluice, sluice.cli, sluice.places as p; print(sluice.__file__, p.ROOT)"
    done = installed.runs(installed.python, "-c", script)
    assert done.stdout.split("\n")[0] == f"{installed.home}/__init__.py {installed.home}/checkout"
    blocked = installed.runs(installed.python, "-c", BY_PATH.format(str(ROOT)))
    assert "is the checkout's" in blocked.stderr, "the guard does not see the checkout"


BY_PATH = "import sys; sys.path.insert(0, {!r}); import host_tools.cli"


def test_what_it_compiles_is_what_the_checkout_compiles(installed):
    out = installed.folder / "a.bin"
    installed.does("image", "make", out, "--version", "1.0.0")
    assert digest(out.read_bytes()) == digest(make_image("1.0.0"))
    for board in ("SIM_ESP32", "SIM_W800"):
        installed.does("bundle", "make", "agent", "--kind", "agent", "--board", board)
        assert digest((installed.folder / "agent").read_bytes()) == digest(make.agent(board))


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_update_goes_to_a_board_by_its_commands_alone(installed):
    state = "my state"
    with serving(installed, "cloud", "run", "--state", state, "--port", 0, "--http-port", 0):
        waits_for(installed.folder / state / "cloud.json")
        installed.does("thing", "create", "lamp", "--state", state)
        with serving(installed, "device", "run", "lamp", "--state", state):
            installed.does("image", "make", "b.bin", "--version", "2.0.0")
            options = ("--thing", "lamp", "--state", state, "--wait")
            job = installed.does("deploy", "b.bin", *options).stdout.split()[0]
        shown = json.loads(installed.does("job", "show", job, "--state", state, "--json").stdout)
    assert [one["status"] for one in shown["executions"]] == ["SUCCEEDED"]


def test_demo_ends_as_it_should_beside_a_folder_of_its_own_name(installed):
    decoy = installed.folder / "sluice/__init__.py"
    decoy.parent.mkdir()
    decoy.write_text("raise SystemExit('not this one')\n", encoding="utf-8")
    assert "accepted agent v" in installed.does("demo").stdout


@contextmanager
def serving(installed: Installed, *words: object) -> Iterator[None]:
    """A command that is left running; its output goes to a file of its name."""
    line = [str(installed.program), *map(str, words)]
    with (installed.folder / f"{words[0]}.log").open("w", encoding="utf-8") as log:
        where = {"cwd": installed.folder, "env": installed.variables}
        process = subprocess.Popen(line, stdout=log, stderr=log, **where)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=LONG_S)


def waits_for(file: Path) -> None:
    limit = time.monotonic() + FUSE_S
    while not file.exists():
        assert time.monotonic() < limit, f"{file} does not come"
        time.sleep(0.1)
