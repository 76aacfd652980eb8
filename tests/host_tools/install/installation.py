"""An environment that has the wheel, and nothing of the checkout that the wheel was built of.

Nothing is fetched. The environment borrows the other packages of the one that runs the tests by a
.pth file, because they are pinned and there. A borrowed folder's own .pth files do nothing, so the
editable installation of the checkout is not among them. Where anything of the checkout is imported
after all, the process ends.
"""

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from patience import LONG_S

from sluice.compile import ROOT


@dataclass(frozen=True)
class Installed:
    """A wheel in an environment of its own.

    folder   for the user's files, with a space in its name
    home     where the package lies
    commit   that it was built of, as git says it
    """

    folder: Path
    home: Path
    commit: str

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder.parent / "bin/python"

    @property
    def program(self) -> Path:
        """Its `sluice`."""
        return self.python.with_name("sluice")

    @property
    def variables(self) -> dict[str, str]:
        """Of a shell that knows nothing of the checkout, and finds the fetched tools."""
        hidden = ("PYTHON", "AWS_", "VIRTUAL_ENV")
        kept = {key: text for key, text in os.environ.items() if not key.startswith(hidden)}
        return kept | {"PYTHONWARNINGS": "default"}

    def does(self, *words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run `sluice …` in the folder."""
        done = self.runs(self.program, *words)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return done

    def runs(self, *command: object) -> subprocess.CompletedProcess[str]:
        """Run any program there."""
        line = list(map(str, command))
        where = {"cwd": self.folder, "env": self.variables, "timeout": LONG_S}
        return subprocess.run(line, capture_output=True, text=True, encoding="utf-8", **where)


def called(*command: object, cwd: Path) -> str:
    """What a program prints that must succeed."""
    line = list(map(str, command))
    done = subprocess.run(line, cwd=cwd, capture_output=True, text=True, timeout=LONG_S)
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    return done.stdout


def built(source: Path, into: Path) -> Path:
    """The wheel of a checkout, or of what was made of one."""
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check")
    called(*pip, "--no-build-isolation", "--no-deps", "--no-index", "-w", into, source, cwd=into)
    (file,) = into.glob("sluice-*.whl")
    return file


PURELIB = "import sysconfig; print(sysconfig.get_path('purelib'))"
GUARD = """
import sys
from importlib.machinery import PathFinder

class Guard:
    def find_spec(self, name, path=None, target=None):
        spec = PathFinder.find_spec(name, path, target)
        if spec and spec.origin and spec.origin.startswith({root!r} + "/") and not (
                spec.origin.startswith({borrowed!r})):
            raise SystemExit(f"{{name}} is the checkout's: {{spec.origin}}")

sys.meta_path.insert(0, Guard())
"""


def borrow(packages: Path) -> None:
    """Put what the running environment has behind what the new one has, without its .pth files.

    So the editable installation of the checkout is not among it.
    """
    theirs = sysconfig.get_path("purelib")
    guard = GUARD.format(root=str(ROOT), borrowed=theirs)
    (packages / "borrowed.pth").write_text(f"{theirs}\nimport guard_of_the_checkout\n")
    (packages / "guard_of_the_checkout.py").write_text(guard)
