"""What MicroPython's build would freeze of a board: its manifest, run as manifestfile runs it."""

from pathlib import Path

import pytest

from sluice import boards
from sluice.compile import firmware_sources

BUILT = sorted(file.parent.name for file in boards.BOARDS.glob("*/manifest.py"))


class Manifest:
    """Runs a manifest as MicroPython's manifestfile does, and keeps what it would freeze.

    frozen    {path on the device: file}
    required  packages of micropython-lib
    """

    def __init__(self, port: Path, board: Path):
        self._variables = {"PORT_DIR": str(port), "BOARD_DIR": str(board)}
        self._here = board
        self.frozen: dict[str, Path] = {}
        self.required: list[str] = []
        self._visited: set[Path] = set()

    def include(self, path: str, **_: object) -> None:
        file = self._resolved(path)
        file = file / "manifest.py" if file.is_dir() else file
        if file in self._visited:
            return
        self._visited.add(file)
        before, self._here = self._here, file.parent
        calls = ("include", "package", "module", "require", "freeze", "metadata", "add_library")
        exec(file.read_text(), {name: getattr(self, name) for name in calls})
        self._here = before

    def package(self, path: str, files=None, base_path: str = ".", opt=None) -> None:
        base = self._resolved(base_path)
        inside = files or [str(f.relative_to(base / path)) for f in (base / path).rglob("*.py")]
        assert inside, f"package {path} is empty"
        for name in inside:
            self._add(f"{path}/{name}", base / path / name)

    def module(self, path: str, base_path: str = ".", opt=None) -> None:
        assert path.endswith(".py")
        self._add(path, self._resolved(base_path) / path)

    def freeze(self, path: str, script=None, opt=None) -> None:
        base = self._resolved(path)
        names = [script] if isinstance(script, str) else script
        for file in [base / name for name in names] if names else base.rglob("*.py"):
            self._add(str(file.relative_to(base)), file)

    def require(self, name: str, version=None, **_: object) -> None:
        self.required.append(name)

    def metadata(self, **_: object) -> None:
        pass

    def add_library(self, name: str, path: str, **_: object) -> None:
        pass

    def _resolved(self, path: str) -> Path:
        for name, value in self._variables.items():
            path = path.replace(f"$({name})", value)
        assert "$(" not in path, path
        return (self._here / path).resolve()

    def _add(self, target: str, file: Path) -> None:
        assert file.is_file(), file
        assert target not in self.frozen, f"{target} twice"
        self.frozen[target] = file


@pytest.fixture
def port(tmp_path: Path) -> Path:
    """As much of ports/esp32 as a board's files refer to."""
    (tmp_path / "port/boards").mkdir(parents=True)
    (tmp_path / "port/boards/manifest.py").write_text('require("asyncio")\n')
    return tmp_path / "port"


@pytest.mark.parametrize("name", BUILT)
def test_manifest_freezes_the_port_the_firmware_and_the_board(name, port):
    manifest = Manifest(port, boards.folder(name))
    manifest.include("$(BOARD_DIR)/manifest.py")
    wanted = dict(firmware_sources())
    assert manifest.frozen.pop("board.py") == boards.folder(name) / "board.py"
    assert {path: file for path, file in manifest.frozen.items() if path in wanted} == wanted
    assert "asyncio" in manifest.required
