"""What a service's model allows of a request: types, lengths, ranges, patterns, enums.

Source: botocore's service-2.json files; botocore itself checks the first half of it only.
"""

import re
from collections.abc import Callable
from typing import Any

from botocore.model import Shape
from botocore.validate import ParamValidator

from sluice.cloud.refusal import Refusal, invalid

Parameters = dict[str, Any]

WIDEST = 1 << 63  # of a model's "long"
# Java's character classes, as they occur within brackets in the models
# fmt: off
CLASSES = {
    r"\p{Cntrl}": r"\x00-\x1f\x7f",
    r"\p{C}":     r"\x00-\x1f\x7f-\x9f",
    r"\p{Graph}": r"!-~",
    r"\p{Upper}": r"A-Z",
    r"\p{Digit}": r"0-9",
    r"\p{L}":     r"\w",
    r"\p{N}":     r"\d",
    r"\p{Z}":     r" ",
}
# fmt: on


def check(
    shape: Shape | None, parameters: Parameters, spare: Callable[[str], object] = lambda text: None
) -> None:
    """Refuse parameters that the model does not allow; texts to `spare` need only be texts."""
    if shape is None:
        return
    report = ParamValidator().validate(parameters, shape)
    if report.has_errors():
        raise invalid(report.generate_report().replace("\n", " "))
    for name, member in shape.members.items():
        if name in parameters:
            constrain(member, parameters[name], name, spare)


def constrain(shape: Shape, value: Any, name: str, spare: Callable[[str], object]) -> None:
    """The constraints that botocore leaves to the service: longest, largest, patterns, enums."""
    limits = shape.metadata
    if isinstance(value, str):
        if spare(value):
            return
        if not limits.get("min", 0) <= len(value) <= limits.get("max", len(value)):
            raise unmet(name, value, "length")
        if "pattern" in limits and not re.fullmatch(pattern(limits["pattern"]), value):
            raise unmet(name, value, f"regular expression {limits['pattern']}")
        if "enum" in limits and value not in limits["enum"]:
            raise unmet(name, value, f"one of {', '.join(limits['enum'])}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if value > limits.get("max", value):
            raise unmet(name, value, f"at most {limits['max']}")
        if not -WIDEST <= value < WIDEST:
            raise unmet(name, value, "at most 64 bits")
    elif isinstance(value, bool) and shape.type_name != "boolean":
        raise unmet(name, value, shape.type_name)  # which botocore takes for a 0 or a 1
    elif isinstance(value, list):
        if len(value) > limits.get("max", len(value)):
            raise unmet(name, value, f"at most {limits['max']} items")
        for item in value:
            constrain(shape.member, item, name, spare)
    elif shape.type_name == "structure":
        for key, item in value.items():
            constrain(shape.members[key], item, f"{name}.{key}", spare)
    elif shape.type_name == "map":
        for key, item in value.items():
            constrain(shape.key, key, f"{name} key", spare)
            constrain(shape.value, item, f"{name}.{key}", spare)


def unmet(name: str, value: Any, constraint: str) -> Refusal:
    """The refusal of one value."""
    shown = repr(value) if len(repr(value)) <= 80 else repr(value)[:77] + "..."
    return invalid(f"Value {shown} at '{name}' failed to satisfy constraint: {constraint}")


def pattern(text: str) -> str:
    """A model's pattern (Java's dialect) as Python's."""
    for java, python in CLASSES.items():
        text = text.replace(java, python)
    return text
