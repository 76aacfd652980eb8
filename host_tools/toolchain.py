"""Finds, or fetches for this user, the real parts: MicroPython, umqtt.simple and Mosquitto.

Each is looked for in an environment variable, then on PATH, then in the cache of an earlier run,
and is otherwise fetched without root: Debian packages from the mirror that apt is already
configured with, unpacked with `dpkg -x` and run through their own loader; umqtt.simple from the
Python package index with `unearth`, checked against its pinned digest.

    $MICROPYTHON     a 32-bit unix port, 1.24 or later     (cache: i386)
    $MICROPYTHON64   a 64-bit unix port, 1.24 or later     (cache: amd64)
    $MOSQUITTO       the broker, 2.0 or later
    $UMQTT           a folder that holds umqtt/simple.py
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from host_tools.errors import SluiceError

SUITE = "trixie"  # the first Debian release with micropython >= 1.24
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
UMQTT = "micropython-umqtt.simple==1.3.4"
UMQTT_SHA256 = "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f"

LOADERS = {"i386": "ld-linux.so.2", "amd64": "ld-linux-x86-64.so.2"}
TRIPLETS = {"i386": "i386-linux-gnu", "amd64": "x86_64-linux-gnu"}
VARIABLES = {"i386": "MICROPYTHON", "amd64": "MICROPYTHON64"}
WORD_MAX = {"i386": 2**31 - 1, "amd64": 2**63 - 1}


class ToolchainError(SluiceError):
    """A tool is neither here nor to be had; the message names the variable to set."""


def cache() -> Path:
    """Where fetched tools live: `$SLUICE_CACHE`, else `$XDG_CACHE_HOME/sluice`."""
    chosen = os.environ.get("SLUICE_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sluice"


def micropython(arch: str = "i386") -> Path:
    """The unix port for `arch` ("i386": 32-bit words as on an MCU, or "amd64")."""
    variable = VARIABLES[arch]

    def judge(path: Path) -> str | None:
        return micropython_fault(path, arch)

    return _find(variable, "micropython", judge) or _fetched(
        "micropython", arch, "usr/bin/micropython", variable, judge
    )


def mosquitto() -> Path:
    """The broker, 2.0 or later."""
    sbin = Path("/usr/sbin/mosquitto")  # Debian puts it outside a user's PATH
    found = _find("MOSQUITTO", "mosquitto", _mosquitto_fault)
    if not found and sbin.exists() and not _mosquitto_fault(sbin):
        found = sbin
    return found or _fetched(
        "mosquitto", "amd64", "usr/sbin/mosquitto", "MOSQUITTO", _mosquitto_fault
    )


def umqtt() -> Path:
    """A folder that holds `umqtt/simple.py`, release 1.3.4 with its pinned digest."""
    chosen = os.environ.get("UMQTT")
    if chosen:
        if not Path(chosen, "umqtt/simple.py").exists():
            raise ToolchainError(f"$UMQTT: no umqtt/simple.py in {chosen}")
        return Path(chosen)
    home = cache() / "umqtt.simple-1.3.4"
    if not (home / "umqtt/simple.py").exists():
        _publish(_fetch_umqtt, home, "UMQTT")
    return home


def _fetch_umqtt(into: Path) -> None:
    """The sdist has no setup.py, so pip refuses it; `unearth` only downloads."""
    unearth = Path(sys.executable).with_name("unearth")
    done = subprocess.run(
        [unearth, "--download", into, UMQTT], capture_output=True, text=True, timeout=300
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


def micropython_fault(path: Path, arch: str) -> str | None:
    """Why the program at `path` is not a usable MicroPython for `arch`; None when it is."""
    script = "import sys; print(sys.implementation.name, sys.maxsize, *sys.implementation[1][:2])"
    try:
        done = subprocess.run([path, "-c", script], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"cannot run {path}: {error}"
    words = done.stdout.split()
    if done.returncode or len(words) != 4 or words[0] != "micropython":
        return f"{path} is not MicroPython"
    if int(words[1]) != WORD_MAX[arch]:
        return f"{path} is not a build for {arch}"
    if (int(words[2]), int(words[3])) < (1, 24):
        return f"{path} is MicroPython {words[2]}.{words[3]}; 1.24 or later is needed"
    return None


def _mosquitto_fault(path: Path) -> str | None:
    try:
        done = subprocess.run([path, "-h"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"cannot run {path}: {error}"
    version = re.search(r"mosquitto version (\d+)", done.stdout)
    if not version or int(version[1]) < 2:
        return f"{path} is not mosquitto 2.0 or later"
    return None


def _find(variable: str, name: str, judge: Callable[[Path], str | None]) -> Path | None:
    """What the variable names, which must be good, or what PATH offers, if that is good."""
    chosen = os.environ.get(variable)
    if chosen:
        fault = judge(Path(chosen))
        if fault:
            raise ToolchainError(f"${variable}: {fault}")
        return Path(chosen)
    offered = shutil.which(name)
    if offered and not judge(Path(offered)):
        return Path(offered)
    return None


def _fetched(
    package: str, arch: str, program: str, variable: str, judge: Callable[[Path], str | None]
) -> Path:
    """The cached wrapper script of a Debian package's program; fetched at the first call."""
    home = cache() / f"{package}-{arch}"
    wrapper = home / package
    if not wrapper.exists():
        _publish(
            lambda into: _fetch_debian(package, arch, program, variable, into), home, variable
        )
        fault = judge(wrapper)
        if fault:
            shutil.rmtree(home)
            raise ToolchainError(f"{fault}; set ${variable} to one that works")
    return wrapper


def _publish(fill: Callable[[Path], None], home: Path, variable: str) -> None:
    """Fill a folder beside `home` and rename it there, so that no half-made one is ever seen."""
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".fetch-") as scratch:
            into = Path(scratch, "tree")
            into.mkdir()
            fill(into)
            if not home.exists():
                into.rename(home)
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolchainError(f"cannot make {home}: {error}; set ${variable}") from None


def _fetch_debian(package: str, arch: str, program: str, variable: str, into: Path) -> None:
    advice = f"set ${variable} to a {package} of your own"
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise ToolchainError(f"no usable {package} here, and no apt to fetch one with: {advice}")
    with tempfile.TemporaryDirectory(prefix="sluice-apt-") as scratch:
        for mirror in _mirrors():
            archives = _download(package, arch, mirror, Path(scratch))
            if archives:
                break
        else:
            raise ToolchainError(f"apt's mirror has no {package} for {arch}: {advice}")
        for archive in archives:
            subprocess.run(["dpkg", "-x", archive, into], check=True, timeout=60)
    _wrap(package, arch, program, into)


def _mirrors() -> list[str]:
    """The archives that apt is configured with, the likeliest first."""
    listing = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)"]
    done = subprocess.run(listing, capture_output=True, text=True, timeout=60)
    rows = [row.split() for row in done.stdout.splitlines()]
    found = [row[0] for row in rows if len(row) == 2 and "-" not in row[1]]
    return sorted(dict.fromkeys(found), key=lambda uri: "debian" not in uri)


def _download(package: str, arch: str, mirror: str, scratch: Path) -> list[Path]:
    """The package and all it depends on, through an apt that knows nothing of this system."""
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (scratch / folder).mkdir(parents=True, exist_ok=True)
    (scratch / "status").touch()
    (scratch / "sources.list").write_text(
        f"deb [signed-by={KEYRING} arch={arch}] {mirror} {SUITE} main\n"
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
    apt = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in settings.items())]
    for step in (["update"], ["install", "--yes", "--download-only", package]):
        if subprocess.run([*apt, *step], capture_output=True, timeout=600).returncode:
            return []
    return sorted((scratch / "cache/archives").glob("*.deb"))


def _wrap(package: str, arch: str, program: str, tree: Path) -> None:
    """A script that starts the program with the libraries unpacked beside it."""
    loader = next(tree.glob(f"usr/lib*/**/{LOADERS[arch]}"), None)
    if loader is None or not (tree / program).exists():
        raise ToolchainError(f"the Debian package of {package} has another layout than expected")
    libraries = f"usr/lib/{TRIPLETS[arch]}"
    wrapper = tree / package
    wrapper.write_text(
        "#!/bin/sh\n"
        'here=$(dirname "$(readlink -f "$0")")\n'
        f'exec "$here/{loader.relative_to(tree)}" --library-path "$here/{libraries}" '
        f'"$here/{program}" "$@"\n'
    )
    wrapper.chmod(0o755)


def main() -> int:
    """Have every tool ready; one line each. The work of `make setup`."""
    try:
        for name, path in (
            ("micropython i386", micropython("i386")),
            ("micropython amd64", micropython("amd64")),
            ("umqtt.simple", umqtt()),
            ("mosquitto", mosquitto()),
        ):
            print(f"{name:18} {path}")
    except SluiceError as error:
        print(f"sluice: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
