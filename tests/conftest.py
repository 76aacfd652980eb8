"""Shared by all tests: the real parts, compiled device code, and MicroPython as a callable."""

import functools
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import botocore.session
import pytest
import releases
from pages import Reader
from patience import FUSE_S
from ports import dead
from seat import Seat

from sluice import toolchain
from sluice.compile import ROOT, compile_tree, firmware_sources
from sluice.device.supervisor import Board

ARCHES = ("i386", "amd64")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--micropython`."""
    releases.offer(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Ctrl-C reaches what the tests start, also where a shell ran them in the background."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["ESPTOOL_CFGFILE"] = str(Path(__file__).parent / "esptool.cfg")
    config.addinivalue_line("markers", "differs: on every release, as releases differ here")
    releases.settle(config)


def pytest_report_header(config: pytest.Config) -> str:
    """The releases that run."""
    return releases.heading(config)


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that runs MicroPython, once for each release that it is to run on."""
    differs = metafunc.definition.get_closest_marker("differs") is not None
    names = releases.wanted(metafunc.config, differs)
    if "release" in metafunc.fixturenames and len(names) > 1:
        metafunc.parametrize("release", names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def release(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of the release that MicroPython is of, in this process and those that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        name = getattr(request, "param", None) or releases.wanted(request.config)[0]
        patch.setenv(toolchain.ASKED, name)
        yield name


@pytest.fixture(autouse=True)
def told(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that starts a board must ask for `release`, or it would run on one of them only."""
    power_on = Board._power_on

    def refused(board: Board) -> object:
        assert "release" in request.fixturenames, "this test starts a board: ask for `release`"
        return power_on(board)

    monkeypatch.setattr(Board, "_power_on", refused)


@pytest.fixture(scope="session", autouse=True)
def models() -> Iterator[None]:
    """boto3 reads AWS's models once in this process, not for each command that runs in it."""
    once = functools.cache(botocore.session.create_loader)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", once)
        yield


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the whole of `firmware/` and umqtt.simple as .mpy."""
    into = tmp_path_factory.mktemp("mpy")
    sources = firmware_sources()
    sources["umqtt/simple.py"] = toolchain.umqtt() / "umqtt/simple.py"
    compile_tree(sources, into, short=False)
    return into


MicroPython = Callable[..., subprocess.CompletedProcess]


@pytest.fixture
def micropython(compiled: Path, tmp_path: Path, release: str) -> MicroPython:
    """Run a script on the unix port with the compiled device code on its path."""

    def run(
        script: str | Path,
        *args: str,
        arch: str = "i386",
        heap: str = "256k",
        path: tuple[Path, ...] = (),
        check: bool = True,
    ) -> subprocess.CompletedProcess:
        if isinstance(script, str):
            (tmp_path / "script.py").write_text(script)
            script = tmp_path / "script.py"
        search = ":".join(map(str, (*path, compiled, ".frozen")))
        done = subprocess.run(
            [toolchain.micropython(arch), "-X", f"heapsize={heap}", script, *args],
            capture_output=True,
            text=True,
            timeout=FUSE_S,
            cwd=tmp_path,
            env={**os.environ, "MICROPYPATH": search},
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture
def dead_port(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A serial port without a board; (its name, the file that is its far end)."""
    with dead(tmp_path / "dead") as far:
        yield tmp_path / "dead", far


@pytest.fixture
def seat() -> Iterator[Callable[..., Seat]]:
    """A function: (port, *words) → a Seat."""
    made: list[Seat] = []

    def make(port: Path, *words: str) -> Seat:
        made.append(Seat(port, *words))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def reader(tmp_path: Path, release: str) -> Iterator[Reader]:
    """Does what a page says, in a folder of its own."""
    person = Reader(tmp_path)
    yield person
    person.ends()
