"""A checkout of a commit of its own, its wheel, and an environment that has it."""

import shutil
import sys
import venv
from pathlib import Path

import pytest
from installation import PURELIB, Installed, borrow, built, called

from sluice.compile import ROOT

LEFT_OUT = (".git", ".venv", "build", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis")


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of one commit, with the files of the one that is tested."""
    folder = tmp_path_factory.mktemp("copy") / "check out"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "-m", "All.")):
        called("git", *who, *words, cwd=folder)
    return folder


@pytest.fixture(scope="session")
def wheel(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that pip builds of the checkout."""
    return built(copy, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def installed(wheel: Path, copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel, installed into an environment of its own."""
    environment = tmp_path_factory.mktemp("environment") / "an environment"
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin/python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    called(*pip, "--disable-pip-version-check", "--no-deps", "--no-index", wheel, cwd=environment)
    packages = Path(called(python, "-c", PURELIB, cwd=environment).strip())
    borrow(packages)
    folder = environment / "my boards"
    folder.mkdir()
    commit = called("git", "rev-parse", "--short", "HEAD", cwd=copy).strip()
    return Installed(folder, packages / "sluice", commit)
