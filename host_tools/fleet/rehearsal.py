"""Clients that make no call: each is printed, checked against botocore's model, and its answer
made up from the shape of the output, so that what follows can be shown, too.

Made-up texts are the name of the member in angle brackets, such as <certificateArn>. A document of
JSON and a text of several lines stand below their call, indented, and only once.
"""

import json
import re
from collections.abc import Callable, Mapping
from textwrap import indent
from typing import Any

from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape

from sluice.cloud.http.constraints import check

Parameters = dict[str, Any]
Answer = Parameters | Exception | Callable[[Parameters], Parameters]

MADE_UP = re.compile(r".*(<\w+>|YOUR-[A-Z]+).*", re.DOTALL)  # nobody's to answer for
DEPTH = 4  # of structures within structures in a made-up answer


class Rehearsal:
    """Stands in for a boto3 client.

    answers   {operation: members of its answer that what follows looks at, or what makes them of
              the call's parameters, or what it raises}
    say       gets one line per call: service.Operation and its parameters as JSON; then the texts
              that stand below it
    """

    def __init__(
        self,
        service: str,
        answers: Mapping[str, Answer] | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self._service = service
        self._model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
        self._operations = {xform_name(name): name for name in self._model.operation_names}
        self._answers = answers or {}
        self._say = say
        self._told: set[str] = set()  # texts that stood below a call

    def __getattr__(self, name: str) -> Callable[..., Parameters]:
        if name not in self._operations:
            raise AttributeError(name)
        return lambda **given: self._call(self._operations[name], given)

    def get_paginator(self, name: str) -> "Pages":
        """A paginator that gives one page."""
        return Pages(getattr(self, name))

    def _call(self, operation: str, given: Parameters) -> Parameters:
        model = self._model.operation_model(operation)
        check(model.input_shape, given, MADE_UP.fullmatch)
        below: list[str] = []
        shown = json.dumps(self._apart(plain(given), "", below), ensure_ascii=False)
        self._say(f"{self._service}.{operation} {shown}")
        for text in below:
            self._say(indent(text, "  "))
        answer = self._answers.get(operation, {})
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            answer = answer(given)
        made = invented(model.output_shape, "", DEPTH) if model.output_shape else {}
        return made | answer

    def _apart(self, value: Any, name: str, below: list[str]) -> Any:
        """The value with no text in it that stands below; such a text is put into `below`."""
        if isinstance(value, dict):
            return {key: self._apart(item, key, below) for key, item in value.items()}
        if isinstance(value, list):
            return [self._apart(item, name, below) for item in value]
        text = laid_out(value) if isinstance(value, str) else None
        if text is None:
            return value
        if value in self._told:
            return f"<{name} as above>"
        self._told.add(value)
        below.append(text)
        return f"<{name} below>"


def laid_out(text: str) -> str | None:
    """The lines of a document of JSON, or of a text that has several; None for any other."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        return json.dumps(document, indent=2, ensure_ascii=False)
    return text.strip() if "\n" in text.strip() else None


class Pages:
    """A paginator of a Rehearsal."""

    def __init__(self, call: Callable[..., Parameters]) -> None:
        self._call = call

    def paginate(self, **given: Any) -> list[Parameters]:
        """The only page."""
        return [self._call(**given)]


def invented(shape: Shape, name: str, depth: int) -> Any:
    """A value of that shape."""
    if shape.type_name == "structure":
        members = shape.members if depth else {}
        return {key: invented(member, key, depth - 1) for key, member in members.items()}
    if shape.type_name == "list":
        return []
    if shape.type_name == "map":
        return {}
    return f"<{name}>" if shape.type_name == "string" else 0


def plain(value: Any) -> Any:
    """A parameter as it can be printed: bytes and files by their size."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if hasattr(value, "read"):
        return f"<{value.seek(0, 2)} bytes>"
    return value
