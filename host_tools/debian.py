"""Fetches a program of a Debian package for this user, without root.

The package and what it depends on come from the mirror that apt is already configured with, by an
apt that knows nothing of this system. They are unpacked with `dpkg -x`, and the program runs
through their own loader.
"""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sluice.errors import SluiceError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
LOADERS = {"i386": "ld-linux.so.2", "amd64": "ld-linux-x86-64.so.2"}
TRIPLETS = {"i386": "i386-linux-gnu", "amd64": "x86_64-linux-gnu"}
FUSE_S = 120  # for a program that answers at once: only a machine that stands still needs it
FETCH_S = 900  # for a download, and to unpack it: a C library may have a gigabyte


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
    unpack([package.name], package.arch, package.suite, into, package.advice)
    _wrap(package, into)


def unpack(names: list[str], arch: str, suite: str, into: Path, advice: str) -> None:
    """Unpack packages and all they depend on. ToolchainError names the first that is not there."""
    _need_apt(names[0], advice)
    with tempfile.TemporaryDirectory(prefix="sluice-apt-") as scratch:
        for archive in _download(names, arch, suite, Path(scratch), advice):
            subprocess.run(["dpkg", "-x", archive, into], check=True, timeout=FETCH_S)


def unpack_source(name: str, suite: str, into: Path, advice: str) -> None:
    """Unpack a source package as its authors made it: without Debian's patches."""
    _need_apt(f"source of {name}", advice)
    with tempfile.TemporaryDirectory(prefix="sluice-apt-") as scratch:
        for mirror in _mirrors():
            apt = _apt(mirror, suite, "amd64", Path(scratch), source=True)
            if _does(apt, "update") and _does(apt, "source", "--download-only", name, cwd=scratch):
                break
        else:
            raise ToolchainError(f"apt's mirror has no source of {name} in {suite}: {advice}")
        for archive in Path(scratch).glob("*.orig.tar.*"):
            command = ["tar", "-xf", archive, "-C", into, "--strip-components=1"]
            subprocess.run(command, check=True, timeout=FUSE_S)


def _need_apt(name: str, advice: str) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise ToolchainError(f"no usable {name} here, and no apt to fetch one with: {advice}")


def _mirrors() -> list[str]:
    """The archives that apt is configured with, the likeliest first."""
    listing = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)"]
    done = subprocess.run(
        listing, capture_output=True, encoding="utf-8", errors="replace", timeout=FUSE_S
    )
    rows = [row.split() for row in done.stdout.splitlines()]
    found = [row[0] for row in rows if len(row) == 2 and "-" not in row[1]]
    return sorted(dict.fromkeys(found), key=lambda uri: "debian" not in uri)


def _download(names: list[str], arch: str, suite: str, scratch: Path, advice: str) -> list[Path]:
    """The packages and all they depend on."""
    missing = names[0]
    for mirror in _mirrors():
        apt = _apt(mirror, suite, arch, scratch)
        if not _does(apt, "update"):
            continue
        for name in names:
            if not _does(apt, "install", "--yes", "--download-only", name):
                missing = name
                break
        else:
            return sorted((scratch / "cache/archives").glob("*.deb"))
    raise ToolchainError(f"apt's mirror has no {missing} for {arch} in {suite}: {advice}")


def _apt(mirror: str, suite: str, arch: str, scratch: Path, source: bool = False) -> list[str]:
    """An apt that knows nothing of this system."""
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (scratch / folder).mkdir(parents=True, exist_ok=True)
    (scratch / "status").touch()
    kind = "deb-src" if source else "deb"
    (scratch / "sources.list").write_text(
        f"{kind} [signed-by={KEYRING} arch={arch}] {mirror} {suite} main\n", encoding="utf-8"
    )
    settings = {
        "Dir::State": scratch / "state",
        "Dir::State::status": scratch / "status",
        "Dir::Cache": scratch / "cache",
        "Dir::Etc::sourcelist": scratch / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "APT::Architecture": arch,
        "APT::Architectures": arch,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    return ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in settings.items())]


def _does(apt: list[str], *step: str, cwd: Path | str | None = None) -> bool:
    done = subprocess.run([*apt, *step], cwd=cwd, capture_output=True, timeout=FETCH_S)
    return done.returncode == 0


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
        f'"$here/{package.program}" "$@"\n',
        encoding="utf-8",
    )
    wrapper.chmod(0o755)


def wrap_all(tree: Path, arch: str, folders: list[str]) -> None:
    """Have every program of these folders run with the libraries unpacked beside it.

    A compiler starts others by their paths: so each is a script where it lies, and is itself
    beside it.
    """
    libraries = tree / "usr/lib" / TRIPLETS[arch]
    loader = libraries / LOADERS[arch]
    for program in [file for folder in folders for file in tree.glob(f"{folder}/*")]:
        if program.is_symlink() or not program.is_file() or not program.stat().st_mode & 0o111:
            continue
        with program.open("rb") as file:
            if file.read(4) != b"\x7fELF" or program.suffix == ".so":
                continue
        real = program.rename(program.with_name(program.name + ".real"))
        line = f'exec "{loader}" --library-path "{libraries}" --argv0 "$0" "{real}" "$@"'
        program.write_bytes(os.fsencode(f"#!/bin/sh\n{line}\n"))
        program.chmod(0o755)
