"""Finds, or fetches for this user, the real parts: MicroPython, umqtt.simple and Mosquitto.

Each is looked for in an environment variable, then on PATH, then in the cache of an earlier run,
and is otherwise fetched without root: Debian packages as host_tools/debian.py says; umqtt.simple
from the Python package index with `unearth`, checked against its pinned digest.

    $MICROPYTHON     a 32-bit unix port, 1.24 or later     (cache: i386)
    $MICROPYTHON64   a 64-bit unix port, 1.24 or later     (cache: amd64)
    $MOSQUITTO       the broker, 2.0 or later
    $UMQTT           a folder that holds umqtt/simple.py
    $QEMU_RISCV32    qemu-system-riscv32, 7 or later: for `make bench-rv32` alone

Of MicroPython there are several releases, see RELEASES. `$SLUICE_MICROPYTHON` says which one is
looked for on PATH and in the cache, and is fetched otherwise. A program that `$MICROPYTHON` names
is used whatever its release.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from functools import cache as once
from functools import partial
from pathlib import Path

from sluice import debian
from sluice.debian import FETCH_S, FUSE_S, Package, ToolchainError
from sluice.errors import SluiceError
from sluice.releases import ASKED, DEFAULT, OLDEST, RELEASES, Release
from sluice.terminal import remark

SUITE = "trixie"  # of Debian, for all but a newer MicroPython
UMQTT = "micropython-umqtt.simple==1.3.4"
UMQTT_SHA256 = "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f"

FETCHED = ("micropython-", "umqtt.simple-", "mosquitto-", "qemu-riscv-", "chromium-", ".fetch-")

VARIABLES = {"i386": "MICROPYTHON", "amd64": "MICROPYTHON64"}
WORD_MAX = {"i386": 2**31 - 1, "amd64": 2**63 - 1}
PROBE = "import sys; print(sys.implementation.name, sys.maxsize, *sys.implementation[1][:3])"


def cache() -> Path:
    """Where fetched tools live: `$SLUICE_CACHE`, else `$XDG_CACHE_HOME/sluice`."""
    chosen = os.environ.get("SLUICE_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sluice"


def micropython(arch: str = "i386", version: str | None = None) -> Path:
    """The unix port for `arch` ("i386": 32-bit words as on an MCU, or "amd64").

    version   a name of RELEASES. None: what `$SLUICE_MICROPYTHON` names; without that any release
              on PATH will do, and DEFAULT is fetched
    """
    variable = VARIABLES[arch]
    if mine := chosen(variable, partial(micropython_fault, arch=arch)):
        return mine
    wanted = version or os.environ.get(ASKED)
    release = _release(wanted) if wanted else None
    judge = partial(micropython_fault, arch=arch, release=release)
    if found := offered("micropython", judge):
        return found
    release = release or RELEASES[DEFAULT]
    package = Package("micropython", arch, "usr/bin/micropython", variable, release.suite)
    home = cache() / f"micropython-{release.name}-{arch}"
    judge = partial(micropython_fault, arch=arch, release=release)
    if not (home / package.name).exists():
        _fetched(package, home, judge)
        _tell_newer(release, version_of(home / package.name))
    return home / package.name


def _release(name: str) -> Release:
    """Of RELEASES, by its name or its whole version."""
    for release in RELEASES.values():
        if name in (release.name, release.version):
            return release
    known = ", ".join(RELEASES)
    raise ToolchainError(f"${ASKED}: there is no release {name} here, but {known}")


def _tell_newer(release: Release, version: str) -> None:
    if version != release.version:
        remark(
            f"sluice: Debian {release.suite} has MicroPython {version} now, not {release.version}:"
            " that is used"
        )


@once
def version_of(program: Path) -> str:
    """A MicroPython's whole version: "1.26.1"."""
    done = _asked(program, "-c", PROBE)
    return ".".join(done.stdout.split()[2:])


def mosquitto() -> Path:
    """The broker, 2.0 or later."""
    judge = _mosquitto_fault
    sbin = Path("/usr/sbin/mosquitto")  # Debian puts it outside a user's PATH
    found = chosen("MOSQUITTO", judge) or offered("mosquitto", judge)
    if not found and sbin.exists() and not judge(sbin):
        found = sbin
    package = Package("mosquitto", "amd64", "usr/sbin/mosquitto", "MOSQUITTO", SUITE)
    return found or _fetched(package, cache() / "mosquitto-amd64", judge)


def qemu() -> Path:
    """QEMU of a machine with RISC-V's 32 bits: for `make bench-rv32` alone."""
    found = chosen("QEMU_RISCV32", _qemu_fault) or offered("qemu-system-riscv32", _qemu_fault)
    program = "usr/bin/qemu-system-riscv32"
    package = Package("qemu-system-riscv", "amd64", program, "QEMU_RISCV32", SUITE)
    return found or _fetched(package, cache() / "qemu-riscv-amd64", _qemu_fault)


def umqtt() -> Path:
    """A folder that holds `umqtt/simple.py`, release 1.3.4 with its pinned digest."""
    chosen = os.environ.get("UMQTT")
    if chosen:
        if not Path(chosen, "umqtt/simple.py").exists():
            raise ToolchainError(f"$UMQTT: no umqtt/simple.py in {chosen}")
        return Path(chosen)
    home = cache() / "umqtt.simple-1.3.4"
    if not (home / "umqtt/simple.py").exists():
        publish(_fetch_umqtt, home, "UMQTT")
    return home


def _fetch_umqtt(into: Path) -> None:
    """The sdist has no setup.py, so pip refuses it; `unearth` only downloads."""
    unearth = (sys.executable, "-P", "-m", "unearth")
    done = subprocess.run(
        [*unearth, "--download", into, UMQTT],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=FETCH_S,
    )
    sdist = next(into.glob("*.tar.gz"), None)
    if done.returncode or sdist is None:
        raise ToolchainError(f"cannot fetch {UMQTT} from the package index; set $UMQTT")
    if hashlib.sha256(sdist.read_bytes()).hexdigest() != UMQTT_SHA256:
        raise ToolchainError(f"{UMQTT}: the digest of {sdist.name} is not the pinned one")
    with tarfile.open(sdist) as archive:
        module = archive.extractfile(f"{sdist.name.removesuffix('.tar.gz')}/umqtt/simple.py")
        if module is None:
            raise ToolchainError(f"{UMQTT}: the archive holds no umqtt/simple.py")
        (into / "umqtt").mkdir()
        (into / "umqtt/simple.py").write_bytes(module.read())
    sdist.unlink()


def micropython_fault(path: Path, arch: str, release: Release | None = None) -> str | None:
    """Why the program at `path` is not a usable MicroPython for `arch`; None when it is.

    release   which one it must be; None: any that the firmware runs on
    """
    try:
        done = _asked(path, "-c", PROBE)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"cannot run {path}: {error}"
    words = done.stdout.split()
    if done.returncode or len(words) != 5 or words[0] != "micropython":
        return f"{path} is not MicroPython"
    if int(words[1]) != WORD_MAX[arch]:
        return f"{path} is not a build for {arch}"
    version = tuple(map(int, words[2:]))
    fault = "1.24 or later is needed" if version < OLDEST else release and release.fault(version)
    return f"{path} is MicroPython {'.'.join(words[2:])}; {fault}" if fault else None


def _asked(program: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What a program says of itself. OSError; TimeoutExpired."""
    heard = {"encoding": "utf-8", "errors": "replace"}
    return subprocess.run([program, *words], capture_output=True, timeout=FUSE_S, **heard)


def _mosquitto_fault(path: Path) -> str | None:
    return version_fault(path, "-h", r"mosquitto version (\d+)", 2, "mosquitto 2.0")


def _qemu_fault(path: Path) -> str | None:
    return version_fault(path, "--version", r"QEMU emulator version (\d+)", 7, "QEMU 7")


def version_fault(path: Path, option: str, said: str, least: int, name: str) -> str | None:
    """Why a program that says its version with this option will not do."""
    try:
        done = _asked(path, option)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"cannot run {path}: {error}"
    version = re.search(said, done.stdout)
    return None if version and int(version[1]) >= least else f"{path} is not {name} or later"


def chosen(variable: str, judge: Callable[[Path], str | None]) -> Path | None:
    """What the variable names, which must be good; None when it is not set."""
    named = os.environ.get(variable)
    if not named:
        return None
    fault = judge(Path(named))
    if fault:
        raise ToolchainError(f"${variable}: {fault}")
    return Path(named)


def offered(name: str, judge: Callable[[Path], str | None]) -> Path | None:
    """What PATH offers, if that is good."""
    found = shutil.which(name)
    return Path(found) if found and not judge(Path(found)) else None


def _fetched(package: Package, home: Path, judge: Callable[[Path], str | None]) -> Path:
    """The wrapper script of a package's program in `home`; fetched at the first call."""
    wrapper = home / package.name
    if not wrapper.exists():
        publish(lambda into: debian.fetch(package, into), home, package.variable)
        fault = judge(wrapper)
        if fault:
            shutil.rmtree(home)
            raise ToolchainError(f"{fault}; set ${package.variable} to one that works")
    return wrapper


def publish(fill: Callable[[Path], None], home: Path, variable: str) -> None:
    """Fill a folder beside `home` and rename it there, so that no half-made one is ever seen."""
    if sys.stderr.isatty():
        remark(f"sluice: fetching {home.name} into {home.parent}, once")
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".fetch-") as scratch:
            into = Path(scratch, "tree")
            into.mkdir()
            fill(into)
            try:
                into.rename(home)
            except OSError:
                if not home.exists():
                    raise  # else another process was quicker, and made the same
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolchainError(f"cannot make {home}: {error}; set ${variable}") from None


def ready(every: bool) -> Iterator[str]:
    """Have every tool, fetched where it is missing; a line for each, as soon as it is there.

    every   all releases of MicroPython, which `make test` needs
    """
    for version in RELEASES if every else (None,):
        for arch in VARIABLES:
            program = micropython(arch, version)
            yield f"{f'micropython {version_of(program)} {arch}':24} {program}"
    yield f"{'umqtt.simple':24} {umqtt()}"
    yield f"{'mosquitto':24} {mosquitto()}"


def remove() -> Iterator[Path]:
    """Remove what was fetched, and no other folder that lies there; each as soon as it is gone."""
    there = sorted(cache().glob("*/")) if cache().is_dir() else []
    for folder in there:
        if folder.name.startswith(FETCHED) and not folder.is_symlink():
            shutil.rmtree(folder)
            yield folder
    if there and not any(cache().iterdir()):
        cache().rmdir()


def main(words: list[str] | None = None) -> int:
    """What `make setup` does before there is a command; with `--all` for `make test`."""
    every = "--all" in (sys.argv[1:] if words is None else words)
    try:
        for line in ready(every):
            print(line)
    except SluiceError as error:
        remark(f"sluice: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
