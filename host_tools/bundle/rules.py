"""What a bundle may say of itself, and what its members may be called.

A member's path is judged as a board judges the path of a job's file, in
firmware/sluice/files/paths.py. An application hides nothing that the agent imports, and an agent's
bundle brings nothing but the agent.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from sluice.documents import OURS, TREES
from sluice.errors import SluiceError

Description = dict[str, Any]

DESCRIPTION = "sluice.json"  # the first member
DESCRIPTION_MAX = 512  # bytes
KINDS = ("app", "agent")
MEMBERS_MAX = 255
NAME_MAX = 100  # characters of a member's path: the field of a tar
VERSION_MAX = 31  # characters
BOARD_MAX = 64  # characters
AGENT = ("sluice", "umqtt")  # folders of an agent's bundle
NOT_AN_APP = ("lib", "sluice", "operations")  # folders that an application's bundle has not
NEEDS = ("agent", "micropython")
_NUMBERS = re.compile(r"\d{1,5}(\.\d{1,5}){0,3}")
STATED = ("board", "kind", "mpy", "needs", "version")
_SAID = re.compile(rb"""^VERSION = ["']([^"'\\]*)["']""", re.MULTILINE)


def written(description: Mapping[str, Any]) -> bytes:
    """The text of sluice.json: keys sorted, no blanks."""
    text = json.dumps(description, sort_keys=True, separators=(",", ":"))
    return text.encode()


def read(text: bytes) -> Description:
    """What a sluice.json says. Raises SluiceError that tells what is wrong with it."""
    if len(text) > DESCRIPTION_MAX:
        raise SluiceError(f"{DESCRIPTION} has {len(text)} bytes: {DESCRIPTION_MAX} at most")
    try:
        description = json.loads(text)
    except (ValueError, RecursionError):
        raise SluiceError(f"{DESCRIPTION} is not JSON") from None
    if not isinstance(description, dict):
        raise SluiceError(f"{DESCRIPTION} is not a JSON object")
    check_description(description)
    if written(description) != text:
        raise SluiceError(f"{DESCRIPTION} has blanks, or its keys are not sorted")
    return description


def check_description(description: Mapping[str, Any]) -> None:
    """Refuse a description that no board takes."""
    unknown = sorted(set(description) - set(STATED))
    if unknown:
        raise SluiceError(f"{DESCRIPTION} has an unknown key, {unknown[0]!r}")
    kind, board, mpy = (description.get(key) for key in ("kind", "board", "mpy"))
    if kind not in KINDS:
        raise SluiceError(f"the kind of a bundle is app or agent, not {kind!r}")
    _check_text("version", description.get("version"), VERSION_MAX)
    if board is not None or "board" in description:
        _check_text("board", board, BOARD_MAX)
    elif kind == "agent":
        raise SluiceError("a bundle of kind agent must name its board")
    if "mpy" in description and not (type(mpy) is int and 0 <= mpy <= 255):
        raise SluiceError(f"mpy is a number of 0 to 255, not {mpy!r}")
    _check_needs(description.get("needs", {}))
    if len(written(description)) > DESCRIPTION_MAX:
        raise SluiceError(f"{DESCRIPTION} has more than {DESCRIPTION_MAX} bytes")


def _check_text(what: str, text: object, most: int) -> None:
    if not isinstance(text, str) or not 0 < len(text) <= most or not _printable(text):
        raise SluiceError(f"a {what} has 1 to {most} printable ASCII characters, not {text!r}")


def _check_needs(needs: object) -> None:
    if not isinstance(needs, dict):
        raise SluiceError("needs must be a JSON object")
    for what, version in needs.items():
        if what not in NEEDS:
            raise SluiceError(f"a bundle needs {' and '.join(NEEDS)}, not {what!r}")
        if not isinstance(version, str) or not _NUMBERS.fullmatch(version):
            raise SluiceError(
                f"needs {what}: write numbers with dots, such as 1.23, not {version!r}"
            )


def check_members(description: Mapping[str, Any], members: Mapping[str, bytes]) -> None:
    """Refuse members, all but sluice.json, that do not go with the description, or together.

    raises  SluiceError: a path, the kind's own module is missing, another .mpy format
    """
    if len(members) + 1 > MEMBERS_MAX:
        raise SluiceError(f"{len(members) + 1} members are too many: {MEMBERS_MAX} at most")
    for path in members:
        check_path(path)
        _check_place(description["kind"], path)
    _check_together(members)
    if description["kind"] == "app":
        if not {"app.mpy", "app.py"} & set(members):
            raise SluiceError("the application has no app.py or app.mpy")
    else:
        _check_agent(description["version"], members)
    _check_format(description.get("mpy"), members)


def check_path(path: str) -> None:
    """Refuse what is no plain path of a file below the tree."""
    if not path or len(path) > NAME_MAX:
        raise SluiceError(f"a path has 1 to {NAME_MAX} characters, not {len(path)}: {path!r}")
    if not _printable(path) or "\\" in path:
        raise SluiceError(f"a path is of printable ASCII characters without \\, not {path!r}")
    if path.startswith("/"):
        raise SluiceError(f"{path} is absolute")
    parts = path.split("/")
    if ".." in parts:
        raise SluiceError(f"{path} leaves its folder")
    if "" in parts or "." in parts:
        raise SluiceError(f"{path!r} is not the plain path of a file")
    if path.lower() == DESCRIPTION:
        raise SluiceError(f"a second {DESCRIPTION}")


def _check_place(kind: str, path: str) -> None:
    """Refuse what is not for this kind of bundle."""
    first, _, below = path.partition("/")
    if kind == "agent":
        if not (below and first in AGENT) and path not in ("board.mpy", "board.py"):
            raise SluiceError(f"{path} is not for a bundle of kind agent: sluice/, umqtt/, board")
        return
    first = first.lower()
    if below and first in NOT_AN_APP:
        raise SluiceError(f"{path} is not for an application: nothing in {first}/ is")
    name = first.split(".")[0]
    if first in TREES or name != "app" and name in OURS.split():
        raise SluiceError(f"{path} is the agent's own")


def _check_together(members: Iterable[str]) -> None:
    """Refuse what is a file and a folder, and a module that is there twice."""
    paths = set(members)
    for path in paths:
        parts = path.split("/")
        for end in range(1, len(parts)):
            if "/".join(parts[:end]) in paths:
                raise SluiceError(f"{'/'.join(parts[:end])} is a file and a folder")
        if path.endswith(".py") and f"{path[:-3]}.mpy" in paths:
            raise SluiceError(f"{path} and {path[:-3]}.mpy are the same module")


def _check_agent(version: str, members: Mapping[str, bytes]) -> None:
    """Refuse an agent without its board or its version."""
    for module in ("board", "sluice/version"):
        if not {f"{module}.mpy", f"{module}.py"} & set(members):
            raise SluiceError(f"the agent has no {module}.py or {module}.mpy")
    compiled = members.get("sluice/version.mpy")
    said = _SAID.search(members.get("sluice/version.py", b""))
    same = said[1] == version.encode() if said else version.encode() in (compiled or b"")
    if not same:
        raise SluiceError(f"sluice/version does not say VERSION = {version!r}")


def _check_format(stated: int | None, members: Mapping[str, bytes]) -> None:
    """Refuse bytecode of another format than the one that is stated."""
    found = format_of(members)
    if found != stated:
        told = [f"{number}" if number is not None else "none" for number in (found, stated)]
        raise SluiceError(f"the .mpy format of the modules is {told[0]}, and stated is {told[1]}")


def format_of(members: Mapping[str, bytes]) -> int | None:
    """The .mpy format of all compiled members, None where none is compiled.

    raises  SluiceError: one is no .mpy, or two are of different formats
    """
    found = None
    for path, content in members.items():
        if path.endswith(".mpy"):
            if len(content) < 4 or content[:1] != b"M":
                raise SluiceError(f"{path} is no .mpy")
            if found not in (None, content[1]):
                raise SluiceError(f"{path} has .mpy format {content[1]}, others have {found}")
            found = content[1]
    return found


def _printable(text: str) -> bool:
    return all(32 <= ord(character) < 127 for character in text)
