"""The toolchain: found by variable, on PATH, in the cache, fetched; or a line that says why not.

Nothing is fetched here: the programs that would do it are doubles in a folder of the test's own.
"""

import contextlib
import io
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sluice import toolchain
from sluice.compile import ROOT
from sluice.debian import FETCH_S, FUSE_S
from sluice.errors import SluiceError

I386, AMD64 = 2**31 - 1, 2**63 - 1  # sys.maxsize
Program = Callable[..., Path]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A function: (path, shell script) → an executable file of the test's folder."""

    def make(name: str, script: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        return file

    return make


def says(maxsize: int = I386, version: str = "1.25.0", name: str = "micropython") -> str:
    """A shell script that answers as a MicroPython of that kind does."""
    return f"echo {name} {maxsize} {version.replace('.', ' ')}"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable set, nothing but the test's folder on PATH, and an empty cache."""
    others = ("MOSQUITTO", "UMQTT", "XDG_CACHE_HOME", toolchain.ASKED)
    for variable in (*toolchain.VARIABLES.values(), *others):
        monkeypatch.delenv(variable, raising=False)
    for tool in ("readlink", "dirname", "rm", "mkdir", "cp", "cat", "sh"):
        found = next(p for p in (Path("/bin", tool), Path("/usr/bin", tool)) if p.exists())
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / tool).symlink_to(found)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("SLUICE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(toolchain, "SBIN", tmp_path / "sbin/mosquitto", raising=False)


def line(call: Callable[[], object]) -> str:
    """The one line of a refusal."""
    with pytest.raises(SluiceError) as refused:
        call()
    assert "\n" not in str(refused.value)
    return str(refused.value)


# --- found --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arch", "maxsize"), [("i386", I386), ("amd64", AMD64)])
def test_variable_names_the_micropython_to_use(program, monkeypatch, arch, maxsize):
    program("bin/micropython", says(maxsize))
    chosen = program("elsewhere/upy", says(maxsize))
    monkeypatch.setenv(toolchain.VARIABLES[arch], str(chosen))
    assert toolchain.micropython(arch) == chosen


def test_micropython_on_path_is_used(program):
    found = program("bin/micropython", says())
    assert toolchain.micropython("i386") == found


def test_micropython_of_the_cache_is_used_without_anything_else(program):
    cached = program("cache/micropython-1.25-i386/micropython", "exit 1")  # was judged already
    assert toolchain.micropython("i386") == cached


def test_micropython_on_path_that_does_not_do_is_passed_over(program):
    program("bin/micropython", says(version="1.23.0"))
    cached = program("cache/micropython-1.25-i386/micropython", says())
    assert toolchain.micropython("i386") == cached


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (says(version="1.23.0"), "is MicroPython 1.23.0; 1.24 or later is needed"),
        (says(AMD64), "is not a build for i386"),
        (says(name="cpython"), "is not MicroPython"),
        ("echo 3.11", "is not MicroPython"),
        ("exit 3", "is not MicroPython"),
    ],
    ids=["old", "word_size", "cpython", "version_only", "fails"],
)
def test_micropython_of_the_variable_that_does_not_do_is_said_why(
    program, monkeypatch, script, words
):
    program("cache/micropython-1.25-i386/micropython", says())  # a bad choice is not passed over
    monkeypatch.setenv("MICROPYTHON", str(program("upy", script)))
    said = line(toolchain.micropython)
    assert said.startswith("$MICROPYTHON: ")
    assert words in said


def test_micropython_of_the_variable_that_is_not_there_is_said_to_be(monkeypatch):
    monkeypatch.setenv("MICROPYTHON", "/nowhere/upy")
    assert "cannot run /nowhere/upy" in line(toolchain.micropython)


@pytest.mark.parametrize("name", ["1.26", "1.26.1"])
def test_release_that_is_asked_for_has_a_place_of_its_own_in_the_cache(program, monkeypatch, name):
    older = program("cache/micropython-1.25-i386/micropython", says())
    newer = program("cache/micropython-1.26-i386/micropython", says(version="1.26.1"))
    assert (toolchain.micropython(), toolchain.micropython(version=name)) == (older, newer)
    monkeypatch.setenv("SLUICE_MICROPYTHON", name)
    assert toolchain.micropython() == newer
    assert toolchain.micropython(version="1.25") == older


@pytest.mark.parametrize(
    ("asked", "offered", "taken"),
    [("1.25", "1.26.1", False), ("1.26", "1.25.0", False), ("1.25", "1.25.3", True)]
    + [("1.26", "1.26.0", True), ("1.26", "1.28.0", True), (None, "1.28.0", True)],
)
def test_micropython_on_path_is_passed_over_when_another_release_is_asked_for(
    program, asked, offered, taken
):
    found = program("bin/micropython", says(version=offered))
    cached = program(f"cache/micropython-{asked}-i386/micropython", says())
    assert toolchain.micropython(version=asked) == (found if taken else cached)


def test_micropython_of_the_variable_is_used_whatever_release_is_asked_for(program, monkeypatch):
    chosen = program("upy", says(version="1.24.1"))
    monkeypatch.setenv("MICROPYTHON", str(chosen))
    assert toolchain.micropython(version="1.26") == chosen


def test_release_that_nobody_knows_is_said_to_be_unknown(monkeypatch):
    monkeypatch.setenv("SLUICE_MICROPYTHON", "1.19")
    said = line(toolchain.micropython)
    assert said == "$SLUICE_MICROPYTHON: there is no release 1.19 here, but 1.25, 1.26"


def test_mosquitto_is_found_by_variable_path_and_cache(program, monkeypatch):
    version = "echo mosquitto version 2.0.21; exit 1"  # its help ends so
    cached = program("cache/mosquitto-amd64/mosquitto", version)
    found = program("bin/mosquitto", version)
    assert toolchain.mosquitto() == found
    chosen = program("mine", version)
    monkeypatch.setenv("MOSQUITTO", str(chosen))
    assert toolchain.mosquitto() == chosen
    monkeypatch.delenv("MOSQUITTO")
    found.unlink()
    if not Path("/usr/sbin/mosquitto").exists():
        assert toolchain.mosquitto() == cached


@pytest.mark.parametrize("version", ["echo mosquitto version 1.6.9", "echo other 2.0", "exit 1"])
def test_mosquitto_of_the_variable_that_does_not_do_is_said_why(program, monkeypatch, version):
    monkeypatch.setenv("MOSQUITTO", str(program("mine", version)))
    assert "is not mosquitto 2.0 or later" in line(toolchain.mosquitto)


def test_umqtt_of_the_variable_is_used_if_it_is_one(tmp_path, monkeypatch):
    monkeypatch.setenv("UMQTT", str(tmp_path))
    assert "no umqtt/simple.py in" in line(toolchain.umqtt)
    (tmp_path / "umqtt").mkdir()
    (tmp_path / "umqtt/simple.py").touch()
    assert toolchain.umqtt() == tmp_path


# --- fetched ------------------------------------------------------------------------------------

APT = """
case "$*" in
*indextargets*) echo "http://mirror.invalid/debian bookworm"; exit ;;
*install*)
    for word in "$@"; do case "$word" in -oDir::Cache=*) cache="${word#*=}" ;; esac; done
    for word in "$@"; do case "$word" in -oDir::Etc::sourcelist=*) list="${word#*=}" ;; esac; done
    read -r deb options key mirror suite main < "$list"
    echo "fetched from $suite" >> "$LEDGER"
    cp "$LEDGER" "$cache/archives/one.deb" ;;
esac
"""
LOADER = '#!/bin/sh\\nshift 2\\nexec "$@"\\n'  # a real one runs the program with the libraries
DPKG = f"""
mkdir -p "$3/usr/lib/i386-linux-gnu" "$3/usr/bin"
printf '{LOADER}' > "$3/usr/lib/ld-linux.so.2"
printf '#!/bin/sh\\necho $ANSWER\\n' > "$3/usr/bin/micropython"
"$CHMOD" 755 "$3/usr/lib/ld-linux.so.2" "$3/usr/bin/micropython"
"""


@pytest.fixture
def mirror(program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Doubles of apt-get and dpkg; returns the file that has a line for each fetch."""
    program("bin/apt-get", APT)
    program("bin/dpkg", DPKG)
    monkeypatch.setenv(
        "CHMOD", next(p for p in ("/bin/chmod", "/usr/bin/chmod") if Path(p).exists())
    )
    monkeypatch.setenv("LEDGER", str(tmp_path / "ledger"))
    monkeypatch.setenv("ANSWER", f"micropython {I386} 1 25 0")
    return tmp_path / "ledger"


def test_micropython_is_fetched_once_and_runs_through_its_own_loader(mirror, tmp_path):
    wrapper = toolchain.micropython("i386")
    assert wrapper == tmp_path / "cache/micropython-1.25-i386/micropython"
    done = subprocess.run([wrapper, "-c", "x"], capture_output=True, text=True)
    assert done.stdout.split() == ["micropython", str(I386), "1", "25", "0"]
    assert toolchain.micropython("i386") == wrapper
    assert mirror.read_text() == "fetched from trixie\n"
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["micropython-1.25-i386"]


def test_newer_release_is_fetched_from_the_suite_that_has_it(mirror, monkeypatch, capsys):
    monkeypatch.setenv("ANSWER", f"micropython {I386} 1 26 1")
    wrapper = toolchain.micropython(version="1.26")
    assert mirror.read_text() == "fetched from sid\n"
    assert toolchain.version_of(wrapper) == "1.26.1"
    assert capsys.readouterr().err == ""


def test_suite_that_has_gone_on_brings_its_newer_version_and_that_is_told_once(
    mirror, monkeypatch, capsys
):
    monkeypatch.setenv("ANSWER", f"micropython {I386} 1 29 0")
    wrapper = toolchain.micropython(version="1.26")
    told = "sluice: Debian sid has MicroPython 1.29.0 now, not 1.26.1: that is used\n"
    assert capsys.readouterr().err == told
    assert toolchain.micropython(version="1.26") == wrapper
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("asked", "brought", "needed"),
    [("1.25", "1 26 1", "1.25 is needed"), ("1.26", "1 25 0", "1.26 or later is needed")],
)
def test_suite_with_another_release_than_asked_for_is_not_kept(
    mirror, monkeypatch, tmp_path, asked, brought, needed
):
    monkeypatch.setenv("ANSWER", f"micropython {I386} {brought}")
    said = line(lambda: toolchain.micropython(version=asked))
    assert f"is MicroPython {brought.replace(' ', '.')}; {needed}" in said
    assert not list((tmp_path / "cache").iterdir())


def test_other_process_that_was_quicker_is_no_fault(mirror, program, tmp_path):
    theirs = tmp_path / "cache/micropython-1.25-i386"
    program("bin/dpkg", DPKG + f'mkdir -p "{theirs}"\ncp "$3/usr/bin/micropython" "{theirs}"')
    assert toolchain.micropython() == theirs / "micropython"
    assert [file.name for file in (tmp_path / "cache").iterdir()] == [theirs.name]


def test_micropython_that_was_fetched_and_does_not_do_is_not_kept(mirror, monkeypatch, tmp_path):
    monkeypatch.setenv("ANSWER", f"micropython {I386} 1 19 0")
    said = line(toolchain.micropython)
    assert "MicroPython 1.19" in said
    assert "$MICROPYTHON" in said
    assert not list((tmp_path / "cache").iterdir())


def test_package_of_another_layout_is_said_to_be(mirror, program, tmp_path):
    program("bin/dpkg", 'mkdir -p "$3/opt"')
    assert "another layout" in line(toolchain.micropython)
    assert not list((tmp_path / "cache").iterdir())


def test_package_that_cannot_be_unpacked_is_said_to_be(mirror, program, tmp_path):
    program("bin/dpkg", "exit 2")
    said = line(toolchain.micropython)
    assert "'dpkg', '-x'" in said and said.endswith("exit status 2.; set $MICROPYTHON")
    assert not list((tmp_path / "cache").iterdir())


def test_machine_without_apt_is_said_what_to_set():
    said = line(toolchain.micropython)
    assert "no apt" in said
    assert "set $MICROPYTHON" in said
    assert "set $MICROPYTHON64" in line(lambda: toolchain.micropython("amd64"))


def test_mirror_without_the_package_is_said_what_to_set(program):
    program("bin/apt-get", "exit 100")
    program("bin/dpkg", "exit 1")
    said = line(lambda: toolchain.micropython(version="1.26"))
    assert "no micropython for i386 in sid" in said
    assert "set $MICROPYTHON" in said


def unearthed(program: Program, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Have `python -P -m unearth` be that script."""
    monkeypatch.setattr(sys, "executable", str(program("venv/python", script)))


def test_umqtt_that_the_index_has_not_got_is_said_to_be(program, monkeypatch, tmp_path):
    unearthed(program, monkeypatch, "exit 1")
    said = line(toolchain.umqtt)
    assert "cannot fetch micropython-umqtt.simple==1.3.4" in said
    assert "$UMQTT" in said
    (tmp_path / "venv/python").unlink()
    assert line(toolchain.umqtt).endswith("; set $UMQTT")
    assert not list((tmp_path / "cache").iterdir())


def test_umqtt_of_another_digest_is_refused(program, monkeypatch, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("micropython-umqtt.simple-1.3.4/umqtt/simple.py")
        archive.addfile(entry, io.BytesIO())
    (tmp_path / "evil").write_bytes(buffer.getvalue())
    fetch = f'cp "{tmp_path}/evil" "$5/micropython-umqtt.simple-1.3.4.tar.gz"'
    unearthed(program, monkeypatch, fetch)
    assert "is not the pinned one" in line(toolchain.umqtt)
    assert not list((tmp_path / "cache").iterdir())


def test_what_was_fetched_is_removed_and_nothing_else(program, tmp_path):
    program("cache/micropython-1.25-i386/micropython", says())
    (tmp_path / "cache/umqtt.simple-1.3.4").mkdir()
    (tmp_path / "cache/somebody.else").mkdir()
    (tmp_path / "cache/mosquitto-amd64").symlink_to(tmp_path / "bin")
    gone = [folder.name for folder in toolchain.remove()]
    assert gone == ["micropython-1.25-i386", "umqtt.simple-1.3.4"]
    left = {file.name for file in (tmp_path / "cache").iterdir()}
    assert left == {"somebody.else", "mosquitto-amd64"} and list((tmp_path / "bin").iterdir())
    (tmp_path / "cache/somebody.else").rmdir()
    (tmp_path / "cache/mosquitto-amd64").unlink()
    program("cache/mosquitto-amd64/mosquitto", says())
    assert [folder.name for folder in toolchain.remove()] == ["mosquitto-amd64"]
    assert not (tmp_path / "cache").exists() and not list(toolchain.remove())


def test_all_that_is_fetched_has_a_name_by_which_it_is_removed(program, monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr(toolchain, "publish", lambda fill, home, variable: made.append(home.name))
    monkeypatch.setattr(toolchain.shutil, "rmtree", lambda folder: None)
    monkeypatch.setattr(toolchain, "version_of", lambda program: "1.25.0")
    for fetch in (toolchain.micropython, toolchain.umqtt, toolchain.qemu, toolchain.mosquitto):
        with contextlib.suppress(SluiceError):
            fetch()
    assert len(made) >= 3 and all(name.startswith(toolchain.FETCHED) for name in made)


def test_page_names_the_variables_that_there_are():
    page = (ROOT / "docs/installing.md").read_text(encoding="utf-8")
    table = set(re.findall(r"^\|.*\| `\$(\w+)` \|", page, re.MULTILINE))
    assert table == {*toolchain.VARIABLES.values(), "MOSQUITTO", "UMQTT"}


def test_failure_is_one_line_and_exit_code_1(tmp_path):
    command = [sys.executable, "-m", "sluice.toolchain"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=FUSE_S)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
    assert done.stderr.startswith("sluice: no usable micropython here")


@pytest.mark.parametrize("words", [[], ["--all"]], ids=["what_runs", "all"])
def test_second_run_finds_everything_and_its_time_is_noted(monkeypatch, record_property, words):
    """Measured only: on a busy machine it may take longer than the two seconds it should."""
    monkeypatch.undo()  # the real ones, which this test run needs anyway
    command = [sys.executable, "-m", "sluice.toolchain", *words]
    subprocess.run(command, check=True, capture_output=True, timeout=FETCH_S)
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=FUSE_S)
    record_property("seconds", round(time.monotonic() - started, 2))
    assert done.returncode == 0
    rows = [row.rsplit(maxsplit=1) for row in done.stdout.splitlines()]
    names = [re.sub(r"\d+\.\d+\.\d+", "VERSION", name.strip()) for name, _ in rows]
    pair = ["micropython VERSION i386", "micropython VERSION amd64"]
    pairs = len(toolchain.RELEASES) if words else 1
    assert names == pair * pairs + ["umqtt.simple", "mosquitto"]
    assert all(Path(path).exists() for _, path in rows)
