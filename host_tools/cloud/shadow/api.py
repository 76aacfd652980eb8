"""The calls for shadows over HTTPS: boto3's "iot-data". What they change is told over MQTT too."""

import time
from collections.abc import Callable
from typing import Any

from sluice.cloud.http.reads import reads
from sluice.cloud.message import Message
from sluice.cloud.refusal import Refusal, not_found
from sluice.cloud.shadow.document import ShadowError
from sluice.cloud.shadow.over_mqtt import Shadows

Parameters = dict[str, Any]
Publish = Callable[[list[Message]], None]

PAGE = 25  # names in a list, unless asked for fewer or more
HTTP_CODES = {  # a shadow's code → the model's exception
    400: "InvalidRequestException",
    404: "ResourceNotFoundException",
    409: "ConflictException",
    413: "RequestEntityTooLargeException",
    415: "UnsupportedDocumentEncodingException",
}


class ShadowCalls:
    """The calls, over the same operations that MQTT uses."""

    def __init__(self, shadows: Shadows, publish: Publish) -> None:
        self._shadows = shadows
        self._publish = publish

    def operations(self) -> dict[str, Callable]:
        """{operation of the model: handler}."""
        # fmt: off
        return {
            "GetThingShadow":           self.get,
            "UpdateThingShadow":        self.update,
            "DeleteThingShadow":        self.delete,
            "ListNamedShadowsForThing": self.list,
        }
        # fmt: on

    @reads("thingName", "shadowName")
    def get(self, given: Parameters) -> Parameters:
        return self._ask("get", given)

    @reads("thingName", "shadowName", "payload")
    def update(self, given: Parameters) -> Parameters:
        return self._ask("update", given)

    @reads("thingName", "shadowName")
    def delete(self, given: Parameters) -> Parameters:
        return self._ask("delete", given)

    def _ask(self, operation: str, given: Parameters) -> Parameters:
        thing, name = given["thingName"], given.get("shadowName", "")
        try:
            messages = self._shadows.ask(operation, thing, name, given.get("payload", b""))
        except ShadowError as error:
            raise Refusal(HTTP_CODES[error.code], str(error)) from None
        if operation != "get":
            self._publish(messages)
        return {"payload": messages[0].payload}

    @reads("thingName", "nextToken", "pageSize")
    def list(self, given: Parameters) -> Parameters:
        thing = given["thingName"]
        if not self._shadows.store.row("SELECT 1 FROM things WHERE name = ?", thing):
            raise not_found("thing", thing)
        size, after = given.get("pageSize", PAGE), given.get("nextToken", "")
        names = [name for name in self._shadows.names(thing) if name > after]
        more = names[size - 1] if len(names) > size else None
        return {"results": names[:size], "nextToken": more, "timestamp": int(time.time())}
