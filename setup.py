"""The package `sluice` is the folder host_tools: pyproject.toml has all else.

A wheel has copies of what lies beside that folder, because `sluice` compiles it on the user's
machine. host_tools/places.py finds them there.
"""

import runpy
import shutil
from pathlib import Path

from setuptools import find_namespace_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).parent
ROOMS = find_namespace_packages("host_tools", exclude=["*__pycache__*"])
COPIED = ("firmware", "boards", "docs")
PLACES = runpy.run_path(str(HERE / "host_tools/places.py"))


def note_commit(folder: Path) -> None:
    """Write down what is built, for `sluice --version`."""
    (folder / PLACES["COMMIT"]).write_text(PLACES["commit"](HERE) + "\n", encoding="ascii")


class Build(build_py):
    """Puts the copies into a wheel; an editable installation finds the checkout itself."""

    def run(self) -> None:  # noqa: D102
        if self.editable_mode:
            super().run()
            return
        package = Path(self.build_lib, "sluice")
        shutil.rmtree(package, ignore_errors=True)  # an earlier build may have more modules
        super().run()
        copies = package / PLACES["COPIES"].name
        for name in COPIED:
            ignored = shutil.ignore_patterns("__pycache__", "*.py[co]")
            shutil.copytree(HERE / name, copies / name, ignore=ignored)
        for page in HERE.glob("*.md"):
            shutil.copy(page, copies)
        note_commit(copies)


class Source(sdist):
    """Notes the commit, because there is no git where a source distribution is unpacked."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:  # noqa: D102
        super().make_release_tree(base_dir, files)
        note_commit(Path(base_dir))


setup(
    package_dir={"sluice": "host_tools"},
    packages=["sluice", *(f"sluice.{room}" for room in ROOMS)],
    cmdclass={"build_py": Build, "sdist": Source},
)
