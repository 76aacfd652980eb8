"""The folder given as --state: what lies where, and what a running cloud tells of itself."""

import json
import os
import shlex
import threading
import time
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from pathlib import Path
from typing import IO, Any, BinaryIO

from sluice.errors import SluiceError

IGNORED = "*\n"  # all of a folder
OWN = 0o700  # of a folder that may hold secrets
KEY = {"access_key", "secret_key"}  # what cloud.json has had since requests are signed
OWNERS = 0o600  # of a file that others must not read, or lock
CONFIG_MODE = OWNERS  # of config.json: the Wi-Fi's password is put into it
START_S = 15  # for a cloud to be ready
LOCK_S = 0.5  # who asks whether a cloud runs has the lock for some microseconds

# Entries of `download_hosts` for a thing of the local cloud: by HTTPS any host, as without a list;
# by HTTP the local cloud's own S3, whose port each run may choose anew.
LOCAL_HOSTS = ("*:*", "http://127.0.0.1:*")


@dataclass(frozen=True)
class State:
    """Paths within the state folder; none of them need exist."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "cloud.db"

    @property
    def ready(self) -> Path:
        """cloud.json: there while the cloud runs and is ready."""
        return self.root / "cloud.json"

    @property
    def authority(self) -> Path:
        """The folder of the certificate authority and of the server's own keys."""
        return self.root / "authority"

    @property
    def root_ca(self) -> Path:
        return self.authority / "AmazonRootCA1.pem"

    @property
    def signer_key(self) -> Path:
        return self.root / "signer.key"

    @property
    def signer_certificate(self) -> Path:
        return self.root / "signer.crt"

    @property
    def broker(self) -> Path:
        return self.root / "broker"

    @property
    def security(self) -> Path:
        """What Mosquitto has been told that certificates may do; it keeps the file itself."""
        return self.broker / "dynamic-security.json"

    @property
    def objects(self) -> Path:
        return self.root / "objects"

    def thing(self, name: str) -> Path:
        return self.root / "things" / name

    def lock(self) -> BinaryIO | None:
        """The open file that marks a running cloud, now ours until it is closed; None if taken."""
        make_folder(self.root)
        file = owners_file(self.root / "cloud.lock")
        deadline = time.monotonic() + LOCK_S
        while not flocked(file, LOCK_EX):
            if time.monotonic() > deadline:
                file.close()
                return None
            time.sleep(0.01)
        return file

    @property
    def there(self) -> bool:
        """Whether it is a state folder: a cloud was here, or a thing or a board was made."""
        files = (self.database, self.ready, self.root / "cloud.lock")
        folders = (self.root / "things", self.root / "devices")
        return any(file.exists() for file in files) or any(one.is_dir() for one in folders)

    @property
    def alive(self) -> bool:
        """Whether a cloud runs here, ready or not."""
        try:
            with (self.root / "cloud.lock").open(encoding="utf-8") as file:
                return not flocked(file, LOCK_SH)  # shared: several may ask at once
        except (FileNotFoundError, NotADirectoryError):
            return False

    def settle(self) -> None:
        """Wait for a cloud that was just started: things do not have its port before."""
        deadline = time.monotonic() + START_S
        while self.alive and not self.ready.exists() and time.monotonic() < deadline:
            time.sleep(0.02)

    def running(self) -> dict[str, Any]:
        """What cloud.json says; SluiceError when no cloud runs here."""
        try:
            if self.alive:
                return self._checked(json.loads(self.ready.read_text(encoding="utf-8")))
        except FileNotFoundError:
            pass
        except ValueError:
            raise SluiceError(f"{self.ready} is not JSON") from None
        start = shlex.join(["sluice", "cloud", "run", "--state", str(self.root)])
        raise SluiceError(f"no cloud runs in {self.root}: start it with `{start}`")

    def _checked(self, about: dict[str, Any]) -> dict[str, Any]:
        """It, if the cloud that wrote it is one that these commands can ask."""
        if about.keys() >= KEY:
            return about
        raise SluiceError(
            f"the cloud that runs in {self.root} is of an earlier release, without a key: "
            "end it, and start it again"
        )


def flocked(file: IO, kind: int) -> bool:
    """Lock a file at once, or not at all."""
    try:
        flock(file, kind | LOCK_NB)
    except BlockingIOError:
        return False
    return True


def make_folder(folder: Path) -> None:
    """A folder, made if it is missing, whose private keys neither git nor other users take;
    SluiceError when it cannot be made."""
    if folder.is_dir():
        return
    try:
        folder.mkdir(OWN, parents=True, exist_ok=True)
        ignoring(folder).write_text(IGNORED, encoding="utf-8")
    except OSError as error:
        raise SluiceError(f"cannot make the folder {folder}: {error.strerror}") from None


def ignoring(folder: Path) -> Path:
    """The file that tells git what to leave alone in a folder."""
    return folder / ".gitignore"


def owners_file(path: Path) -> BinaryIO:
    """A file to be written anew, which is its owner's alone whatever it was and the umask is."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNERS)
    os.fchmod(descriptor, OWNERS)
    return os.fdopen(descriptor, "wb")


def write_atomically(path: Path, data: str | bytes, mode: int = 0o644) -> None:
    """Replace a file so that readers see the old one or the new one, never a part."""
    path.parent.mkdir(OWN, parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)  # whatever the umask took
        file.write(data.encode() if isinstance(data, str) else data)
    scratch.replace(path)
