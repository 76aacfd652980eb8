"""DIR/things/NAME: what a board gets, from the local cloud's things and from AWS's alike."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from sluice.cloud.state import (
    CONFIG_MODE,
    IGNORED,
    State,
    ignoring,
    make_folder,
    write_atomically,
)
from sluice.errors import SluiceError
from sluice.fleet.root_ca import from_file
from sluice.signing import new_key, write_new


@dataclass(frozen=True)
class Board:
    """The contents: names and ports, and everything that is PEM; no key when that is elsewhere.

    hosts    `download_hosts`: where files may come from; none: any host, by HTTPS
    """

    thing: str
    endpoint: str
    port: int
    root_ca: bytes
    signer: bytes
    certificate: bytes
    key: bytes | None
    hosts: tuple[str, ...] = ()


def write_board(folder: Path, board: Board) -> None:
    """All files, or none; the private key is readable by the owner only."""
    things, root = folder.parents[:2]
    make_folder(root)
    ignored = ignoring(root)
    if (
        not ignored.is_file() or ignored.read_text(encoding="utf-8") != IGNORED
    ):  # a folder of the user's own
        make_folder(things)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise SluiceError(f"cannot make {folder}: {error.strerror}") from None
    try:
        _write(folder, board)
    except BaseException:
        shutil.rmtree(folder)
        raise


def _write(folder: Path, board: Board) -> None:
    config = {
        "thing": board.thing,
        "endpoint": board.endpoint,
        "port": board.port,
        "ca": "AmazonRootCA1.pem",
        "certificate": "certificate.pem.crt",
        "private_key": "private.pem.key",
        "signers": ["signer.crt"],
        "dialect": "aws_jobs",
        "wifi": {},
        "block": 4096,
        "window": 262_144,
        "download_hosts": list(board.hosts),
        "allow_unsigned": False,
    }
    write_new(folder / config["ca"], board.root_ca)
    write_new(folder / config["certificate"], board.certificate)
    if board.key:
        write_new(folder / config["private_key"], board.key, 0o600)
    write_new(folder / "signer.crt", board.signer)
    write_atomically(folder / "config.json", json.dumps(config, indent=2) + "\n", CONFIG_MODE)


def signer_certificate(root: Path, file: Path | None) -> bytes:
    """The certificate of the key that images are signed with: the one given, else that of
    DIR/signer.key, which is made at first use."""
    if file is not None:
        return from_file(file)
    state = State(root)
    if not state.signer_certificate.exists():
        make_folder(state.root)
        new_key(state.signer_key)
    return from_file(state.signer_certificate)
