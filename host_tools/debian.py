"""Fetches a program of a Debian package for this user, without root.

The package and what it depends on come from the mirror that apt is already configured with, by an
apt that knows nothing of this system. They are unpacked with `dpkg -x`, and the program runs
through their own loader.
"""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from host_tools.errors import SluiceError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
LOADERS = {"i386": "ld-linux.so.2", "amd64": "ld-linux-x86-64.so.2"}
TRIPLETS = {"i386": "i386-linux-gnu", "amd64": "x86_64-linux-gnu"}
FUSE_S = 120  # for a program that answers at once: only a machine that stands still needs it
FETCH_S = 900  # for a download


class ToolchainError(SluiceError):
    """A tool is neither here nor to be had; the message names the variable to set."""


@dataclass(frozen=True)
class Package:
    """A Debian package to fetch: its program's path in it, and the variable to set instead."""

    name: str
    arch: str
    program: str
    variable: str
    suite: str

    @property
    def advice(self) -> str:
        """What else may be done."""
        return f"set ${self.variable} to a {self.name} of your own"


def fetch(package: Package, into: Path) -> None:
    """Unpack the package in `into`, with a script of its name that runs it. ToolchainError."""
    what = f"{package.name} for {package.arch} in {package.suite}"
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise ToolchainError(
            f"no usable {package.name} here, and no apt to fetch one with: {package.advice}"
        )
    with tempfile.TemporaryDirectory(prefix="sluice-apt-") as scratch:
        for mirror in _mirrors():
            archives = _download(package, mirror, Path(scratch))
            if archives:
                break
        else:
            raise ToolchainError(f"apt's mirror has no {what}: {package.advice}")
        for archive in archives:
            subprocess.run(["dpkg", "-x", archive, into], check=True, timeout=FUSE_S)
    _wrap(package, into)


def _mirrors() -> list[str]:
    """The archives that apt is configured with, the likeliest first."""
    listing = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)"]
    done = subprocess.run(listing, capture_output=True, text=True, timeout=FUSE_S)
    rows = [row.split() for row in done.stdout.splitlines()]
    found = [row[0] for row in rows if len(row) == 2 and "-" not in row[1]]
    return sorted(dict.fromkeys(found), key=lambda uri: "debian" not in uri)


def _download(package: Package, mirror: str, scratch: Path) -> list[Path]:
    """The package and all it depends on, through an apt that knows nothing of this system."""
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (scratch / folder).mkdir(parents=True, exist_ok=True)
    (scratch / "status").touch()
    (scratch / "sources.list").write_text(
        f"deb [signed-by={KEYRING} arch={package.arch}] {mirror} {package.suite} main\n"
    )
    settings = {
        "Dir::State": scratch / "state",
        "Dir::State::status": scratch / "status",
        "Dir::Cache": scratch / "cache",
        "Dir::Etc::sourcelist": scratch / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "APT::Architecture": package.arch,
        "APT::Architectures": package.arch,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    apt = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in settings.items())]
    for step in (["update"], ["install", "--yes", "--download-only", package.name]):
        if subprocess.run([*apt, *step], capture_output=True, timeout=FETCH_S).returncode:
            return []
    return sorted((scratch / "cache/archives").glob("*.deb"))


def _wrap(package: Package, tree: Path) -> None:
    """A script that starts the program with the libraries unpacked beside it."""
    loader = next(tree.glob(f"usr/lib*/**/{LOADERS[package.arch]}"), None)
    if loader is None or not (tree / package.program).exists():
        raise ToolchainError(
            f"the Debian package of {package.name} has another layout than expected"
        )
    libraries = f"usr/lib/{TRIPLETS[package.arch]}"
    wrapper = tree / package.name
    wrapper.write_text(
        "#!/bin/sh\n"
        'here=$(dirname "$(readlink -f "$0")")\n'
        f'exec "$here/{loader.relative_to(tree)}" --library-path "$here/{libraries}" '
        f'"$here/{package.program}" "$@"\n'
    )
    wrapper.chmod(0o755)
