"""boto3's calls, by botocore's own models: which operation is meant, its parameters, its answer.

An operation is found by its HTTP method and requestUri in the service's model, its parameters are
taken from the path, the query, the headers and the JSON body as the model places them and checked
against the model's constraints. What its handler does not read is refused (see `reads`). A handler
gets a dict and returns one of the output shape, lists whole: they are cut into pages here. A
Refusal becomes the error of the model. Nothing here knows any operation by name.

Source: botocore's service-2.json files and the AWS restJson1 protocol.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape

from sluice.cloud.http.constraints import check
from sluice.cloud.http.members import read_json
from sluice.cloud.http.paging import Pages
from sluice.cloud.http.reads import declared, refuse_unread
from sluice.cloud.http.server import HTTPAnswer, HTTPRequest
from sluice.cloud.refusal import Refusal, invalid

Parameters = dict[str, Any]
Operation = Callable[[Parameters], Parameters | None]

BODY_BYTES = 1 << 20  # AWS's limits are far below
JSON_TYPE = {"Content-Type": "application/json"}


class REST:
    """One AWS service: its model, and a handler for each operation this cloud knows."""

    def __init__(self, service: str, operations: Mapping[str, Operation]) -> None:
        model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
        self.signing_name = model.metadata.get("signingName", model.metadata["endpointPrefix"])
        self.name = service
        self.operations = operations
        self._pages = Pages(service)
        rows = [Route(model.operation_model(name)) for name in model.operation_names]
        self._routes = sorted(rows, key=lambda route: route.vagueness)

    def __call__(self, request: HTTPRequest) -> HTTPAnswer:
        """The one entry."""
        for route in self._routes:
            labels = route.match(request)
            if labels is not None:
                return self._run(route.operation, request, labels)
        text = f"no operation for {request.method} {request.raw_path}"
        return error(501, "UnknownOperationException", text)

    def _run(self, model: OperationModel, request: HTTPRequest, labels: dict) -> HTTPAnswer:
        handler = self.operations.get(model.name)
        if handler is None:
            text = f"the local cloud does not know {model.name}"
            return error(501, "NotImplementedException", text)
        try:
            parameters = parse(model.input_shape, request, labels)
            check(model.input_shape, parameters)
            read = declared(handler) | self._pages.members(model.name)
            refuse_unread(parameters, read, model.name)
            result = handler(parameters) or {}
            return serialise(model, self._pages.cut(model, parameters, result))
        except Refusal as refusal:
            return refused(model, refusal)


class Route:
    """An operation's method and path."""

    def __init__(self, operation: OperationModel) -> None:
        self.operation = operation
        self._method = operation.http["method"]
        path, _, query = operation.http["requestUri"].partition("?")
        self._query = [pair.partition("=")[0] for pair in query.split("&") if pair]
        labels = re.split(r"\{(\w+)(\+?)\}", path)
        pattern = re.escape(labels[0])
        for name, greedy, text in zip(labels[1::3], labels[2::3], labels[3::3], strict=True):
            pattern += f"(?P<{name}>{'.+' if greedy else '[^/]+'}){re.escape(text)}"
        self._path = re.compile(pattern)
        self.vagueness = (path.count("{"), -len(path), -len(self._query))

    def match(self, request: HTTPRequest) -> dict[str, str] | None:
        """The path's labels, decoded; None if it is another operation."""
        found = self._path.fullmatch(request.raw_path.rstrip("/") or "/")
        if not found or request.method != self._method:
            # `$next` is a fixed part of one path, and its client may percent-encode it
            found = request.method == self._method and self._path.fullmatch(
                unquote(request.raw_path)
            )
        if not found or any(request.argument(name) is None for name in self._query):
            return None
        return {name: unquote(value) for name, value in found.groupdict().items()}


def parse(shape: Shape | None, request: HTTPRequest, labels: dict[str, str]) -> Parameters:
    """An operation's parameters from wherever its model puts them."""
    if shape is None:
        return {}
    parameters: Parameters = {}
    raw = request.read(BODY_BYTES) if request.body else b""
    payload = shape.serialization.get("payload")
    body = {} if payload else json_object(raw)
    for name, member in shape.members.items():
        wire = member.serialization.get("name", name)
        place = member.serialization.get("location")
        if name == payload:
            value = raw if member.type_name == "blob" else from_json(member, json_object(raw))
        elif place == "uri":
            value = from_text(member, labels[wire])
        elif place == "querystring":
            value = from_query(member, wire, request.query)
        elif place == "header":
            value = from_text(member, request.headers.get(wire.lower()))
        else:
            value = from_json(member, body.get(wire))
        if value is not None:
            parameters[name] = value
    return parameters


def json_object(raw: bytes) -> dict:
    """The body's JSON object; an empty body is an empty one."""
    try:
        value = read_json(raw or b"{}")
    except ValueError:
        raise invalid("the request's body is not JSON in UTF-8 with finite numbers") from None
    if not isinstance(value, dict):
        raise invalid("the request's body is not a JSON object")
    return value


def from_query(shape: Shape, name: str, query: list[tuple[str, str]]) -> Any:
    """A parameter in the query: one value, several of one name, or all of them."""
    if shape.type_name == "map":
        return dict(query)
    values = [value for key, value in query if key == name]
    if shape.type_name == "list":
        return [from_text(shape.member, value) for value in values] or None
    return from_text(shape, values[0]) if values else None


def from_text(shape: Shape, text: str | None) -> Any:
    """A value of the path, the query or a header."""
    if text is None:
        return None
    try:
        if shape.type_name == "boolean":
            return {"true": True, "false": False}[text.lower()]
        if shape.type_name in ("integer", "long"):
            return int(re.fullmatch("-?[0-9]{1,19}", text)[0])
    except (KeyError, TypeError):
        raise invalid(f"{text!r} is no {shape.type_name}") from None
    return text


def from_json(shape: Shape, value: Any) -> Any:
    """A value of the body: base64 and times become bytes and datetimes; null is absent."""
    if value is None:
        return None
    if shape.type_name == "structure" and isinstance(value, dict):
        members = {
            name: from_json(member, value.get(member.serialization.get("name", name)))
            for name, member in shape.members.items()
        }
        return {name: member for name, member in members.items() if member is not None}
    if shape.type_name == "list" and isinstance(value, list):
        return [from_json(shape.member, item) for item in value]
    if shape.type_name == "map" and isinstance(value, dict):
        return {key: from_json(shape.value, item) for key, item in value.items()}
    if shape.type_name == "blob" and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except ValueError:
            raise invalid(f"{shape.name} is not base64") from None
    if shape.type_name == "timestamp" and isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    return value


def serialise(model: OperationModel, result: Parameters) -> HTTPAnswer:
    """The answer of an operation, of the members that its output shape has."""
    shape = model.output_shape
    if shape is None:
        return HTTPAnswer(headers=dict(JSON_TYPE), body=b"{}")
    payload = shape.serialization.get("payload")
    if payload:
        return HTTPAnswer(headers=dict(JSON_TYPE), body=result.get(payload, b""))
    return HTTPAnswer(headers=dict(JSON_TYPE), body=json.dumps(to_json(shape, result)).encode())


def to_json(shape: Shape, value: Any) -> Any:
    """A value as the body carries it; None members are left out."""
    if shape.type_name == "structure":
        return {
            member.serialization.get("name", name): to_json(member, value[name])
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if shape.type_name == "list":
        return [to_json(shape.member, item) for item in value]
    if shape.type_name == "map":
        return {key: to_json(shape.value, item) for key, item in value.items()}
    if shape.type_name == "blob":
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.timestamp()
    return value


def refused(model: OperationModel, refusal: Refusal) -> HTTPAnswer:
    """A refusal with the status of its shape in the model."""
    for shape in model.error_shapes:
        if shape.name == refusal.code:
            status = shape.metadata.get("error", {}).get("httpStatusCode", 400)
            return error(status, refusal.code, str(refusal), refusal.members)
    return error(400, refusal.code, str(refusal), refusal.members)


def error(status: int, code: str, message: str, members: dict | None = None) -> HTTPAnswer:
    """An error as restJson1 writes it."""
    body = json.dumps({"message": message, **(members or {})}).encode()
    return HTTPAnswer(status, JSON_TYPE | {"x-amzn-ErrorType": code}, body)
