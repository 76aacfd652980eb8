"""The job-document standard: job.schema.json, and what is wrong with a document that breaks it.

And where on a board the files of a deployment may go: by the rules of
firmware/sluice/files/paths.py.
"""

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluice.errors import SluiceError

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

SCHEMA = Path(__file__).with_name("job.schema.json")
SHAPES = ("afr_ota", "location", "operation", "steps", "devices")  # the first member there decides
OURS = (  # in the root or in /lib, up to the first dot: what the agent is made of, and keeps
    "board boot clock config failures journal lastgood main order proof settings sluice staged "
    "starts trees umqtt "
    "asyncio binascii builtins collections deflate errno esp32 gc hashlib io json machine "
    "micropython network os random select socket ssl struct sys time tls vfs w800"
)
TREES = ("app.a", "app.b", "agent.a", "agent.b", ".app", ".agent")  # and in the root alone
SHOWN = 60  # characters of a wrong value in a message


def check(document: dict[str, Any]) -> str:
    """The shape of a document that keeps its rules.

    raises  SluiceError that names the place, in one line
    """
    from jsonschema.exceptions import best_match

    shape = next((name for name in SHAPES if name in document), None)
    if shape is None:
        raise SluiceError(f"a document of an unknown shape: it has none of {', '.join(SHAPES)}")
    if error := best_match(validator(shape).iter_errors(document)):
        raise SluiceError(told(error))
    return shape


def check_places(places: list[str]) -> None:
    """Refuse paths at which no board would put the files of one job."""
    from jsonschema.exceptions import best_match

    kept = []
    for text in places:
        if error := best_match(validator("place").iter_errors(text)):
            raise SluiceError(told(error).removeprefix("document: "))
        names = [part for part in text.split("/") if part not in ("", ".")]
        below = names[1:] if "lib" in map(str.lower, names[:1]) else names
        if names[:1] and names[0].lower() in TREES:
            raise SluiceError(f"{text} is the agent's own")
        if not below or below[0].lower().split(".")[0] in OURS.split():
            raise SluiceError(f"{text} is the agent's own")
        kept.append("/".join(names))
    for one in kept:
        if kept.count(one) > 1 or any(other.startswith(f"{one}/") for other in kept):
            raise SluiceError(f"two files at {one}")


@cache
def validator(shape: str) -> "Draft202012Validator":
    """The validator of one shape, so that errors are about that one and no other."""
    from jsonschema import Draft202012Validator

    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return Draft202012Validator({"$ref": f"#/$defs/{shape}", "$defs": schema["$defs"]})


def told(error: "ValidationError") -> str:
    """`place: what is wrong there`."""
    place = error.json_path.removeprefix("$").lstrip(".") or "document"
    about = error.schema.get("description") if isinstance(error.schema, dict) else None
    if error.validator in ("pattern", "enum", "maxLength") and about:
        value = json.dumps(error.instance)
        return f"{place}: {value[:SHOWN]}{'…' if len(value) > SHOWN else ''} is not {about}"
    text = error.message
    return f"{place}: {text if len(text) <= 3 * SHOWN else text[: 3 * SHOWN] + '…'}"
