"""What a deployment brings: an image, bundles and files, each known by its content.

A folder and a file of Python become a bundle of an application. This installation's firmware
becomes the bundle of an agent.
"""

import json
import re
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sluice import boards
from sluice.bundle import container, make
from sluice.cloud.state import State
from sluice.cloud.store import open_store
from sluice.documents import check_places
from sluice.errors import SluiceError
from sluice.image import w800
from sluice.image.appimage import MAGIC
from sluice.image.inspect import read_image
from sluice.image.plain import plain_file

ORDER = ("image", "agent", "app")  # in a job: the image is the first file of it
NAMES = {"image": "image", "agent": "bundle of an agent", "app": "bundle of an application"}
_IMAGES = (bytes([MAGIC]), w800.MAGIC.to_bytes(4, "little"))
_GUESSED = 4096  # bytes of a broken bundle, unpacked, that may say of which kind it is
_STRANGE = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True)
class Part:
    """A file to be uploaded.

    kind   one of ORDER; delta, compressed; "file" for what goes to a place
    place  path on the board's file system; of a delta or a compressed image what it is known by
    made   what there is to say of one that was made for this job
    title  what a message calls a delta or a compressed image
    """

    path: Path
    kind: str
    place: str | None = None
    made: str = ""
    title: str = ""


@dataclass(frozen=True)
class Wanted:
    """What the user asked to be deployed.

    paths    images, bundles, folders, files of Python
    files    (file, its path on the board)
    version  of what is made of a folder or of a .py; else of the agent; None: not said
    agent    this installation's firmware, too
    board    the one that bundles are made for, None: not said
    known    boards that the things have; None among them: there may be others
    anything do not judge what is no whole image or bundle, nor where files go
    """

    paths: Sequence[Path]
    files: Sequence[tuple[Path, str]]
    version: str | None
    agent: bool
    board: str | None
    known: Sequence[str | None]
    anything: bool


@contextmanager
def gathered(wanted: Wanted) -> Iterator[list[Part]]:
    """The files of the job, the image first; what was made for it goes at the end.

    raises  SluiceError: as `checked` does; no board for an agent, what boards would refuse
    """
    found = checked(wanted)
    board = wanted.board or (_only(wanted.known) if wanted.agent else None)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sluice-deploy-")))
        parts = []
        for path, kind in found:
            if kind == "image":
                plain = stack.enter_context(plain_file(path))
                _judge(path, plain, wanted.anything)
                parts.append(Part(plain, kind))
            elif kind == "source":
                bundle = make.application(path, wanted.version, board=wanted.board)
                parts.append(_made(scratch, path.resolve().stem, wanted.version, bundle, "app"))
            else:
                parts.append(Part(path, kind))
        if wanted.agent:
            version = None if any(kind == "source" for _, kind in found) else wanted.version
            bundle = make.agent(board, version)
            stated = container.unpack(bundle)[0]["version"]
            parts.append(_made(scratch, f"agent-{boards.name(board)}", stated, bundle, "agent"))
        if not wanted.anything:
            _judge_boards(parts, wanted.known)
            _judge_places([place for _, place in wanted.files])
        placed = [Part(path, "file", place) for path, place in wanted.files]
        yield sorted(parts, key=lambda part: ORDER.index(part.kind)) + placed


def kind_of(path: Path, anything: bool = False) -> str:
    """What a path is, by its content: image, app, agent; source for a folder or a .py.

    anything  a bundle that no board takes is of the kind that it seems to be
    raises    SluiceError: it cannot be read; a bundle that no board takes
    """
    if path.is_dir():
        return "source"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SluiceError(f"cannot read {path}: {error.strerror}") from None
    if container.is_bundle(data):
        try:
            return container.unpack(data)[0]["kind"]
        except SluiceError as error:
            if anything:
                return _guessed(data)
            raise SluiceError(f"{path}: {error} (--any sends it all the same)") from None
    return "source" if path.suffix == ".py" and not data.startswith(_IMAGES) else "image"


def _guessed(data: bytes) -> str:
    """The kind that a broken bundle seems to be of: an application's, if there is no telling."""
    try:
        start = zlib.decompressobj(31).decompress(data, _GUESSED)
    except zlib.error:
        start = b""
    return "agent" if b'"kind":"agent"' in start else "app"


def checked(wanted: Wanted) -> list[tuple[Path, str]]:
    """(path, its kind) of all that is to be deployed; `known` does not matter yet.

    raises  SluiceError: nothing to deploy, two of a kind, no version
    """
    found = [(path, kind_of(path, wanted.anything)) for path in wanted.paths]
    kinds = [kind for _, kind in found]
    if not kinds and not wanted.agent:
        raise SluiceError("deploy what? an image, a bundle, a folder, a .py, or --agent")
    made = "source" in kinds
    if made and wanted.version is None:
        path = wanted.paths[kinds.index("source")]
        raise SluiceError(f"{path} becomes a bundle of an application: which --version is it?")
    if wanted.version is not None and not made and not wanted.agent:
        raise SluiceError("--version is for a folder, a .py or --agent: all else says its own")
    if wanted.board is not None and not made and not wanted.agent:
        raise SluiceError("--board is for a folder, a .py or --agent: all else says its own")
    ends = ["app" if kind == "source" else kind for kind in kinds] + ["agent"] * wanted.agent
    for kind, name in NAMES.items():
        if ends.count(kind) > 1:
            raise SluiceError(f"a job brings one {name} at most, and here are {ends.count(kind)}")
    return found


def _only(known: Sequence[str | None]) -> str:
    """The one board that all things have."""
    names = [name for name in known if name is not None]
    if len(names) > 1:
        raise SluiceError(f"the things are {' and '.join(names)}: deploy to each kind by itself")
    if len(known) > 1 or not names:
        there = ", ".join(boards.names())
        raise SluiceError(f"an agent is for one board: --board NAME, of {there}")
    return names[0]


def _judge_boards(parts: Sequence[Part], known: Sequence[str | None]) -> None:
    """Refuse a bundle for one board where a thing is known to have another."""
    for part in parts:
        if part.kind in ("app", "agent"):
            stated = container.unpack(part.path.read_bytes())[0].get("board")
            others = [name for name in known if name not in (None, stated)]
            if stated is not None and others:
                raise SluiceError(
                    f"{part.path.name} is for {stated}, and a thing is known to be {others[0]} "
                    "(--any sends it all the same)"
                )


def _judge(name: Path, image: Path, anything: bool) -> None:
    """Refuse what every board would, in the end: an image that is not whole."""
    if anything:
        return
    try:
        read_image(image.read_bytes())
    except SluiceError as error:
        raise SluiceError(f"{name}: {error} (--any sends it all the same)") from None


def _judge_places(places: list[str]) -> None:
    """The same of the paths of files."""
    try:
        check_places(places)
    except SluiceError as error:
        raise SluiceError(f"--file: {error} (--any sends it all the same)") from None


def _made(folder: Path, name: str, version: str, bundle: bytes, kind: str) -> Part:
    """A bundle that was made for this job."""
    path = folder / (_STRANGE.sub("-", f"{name}-{version}") + ".bundle")
    path.write_bytes(bundle)
    return Part(path, kind, made=f"{NAMES[kind]}, version {version}, {len(bundle):,} bytes")


def boards_of(state: State, things: Sequence[str]) -> list[str | None]:
    """The names of the boards that these things of a local cloud have; None: one is not known.

    A board tells its name in a shadow, unless its configuration has it tell nothing.
    """
    if not things or not state.database.exists():
        return [None]
    found: set[str | None] = set()
    with open_store(state.database) as store:
        for thing in things:
            rows = store.rows("SELECT state FROM shadows WHERE thing = ?", thing)
            told = {_reported(row["state"]) for row in rows} - {None}
            found |= told or {None}
    return sorted(found, key=str)


def _reported(text: str) -> str | None:
    """The name of a board of ours in a shadow's state."""
    reported = json.loads(text).get("reported")
    board = reported.get("board") if isinstance(reported, dict) else None
    return board if isinstance(board, str) and board in boards.names() else None
