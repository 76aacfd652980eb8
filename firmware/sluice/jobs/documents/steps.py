"""AWS's managed job templates, in the schema of its Device Client: `{"version", "steps": […]}`.

A step runs a handler, a shell script that a board has not got; where an operation of ours does the
same, that is run. A job has one step, because a second one could not undo the first. `runAsUser`
and the folder of the handler mean nothing here and are passed over.

source   AWS IoT developer guide, "Managed templates"; aws-iot-device-client, source/jobs/README.md
"""

from sluice.errors import Refuse
from sluice.fields import field
from sluice.jobs.documents.operation import read as read_operation

_STEPS_MAX = 64
_TEXT_MAX = 256  # characters of a name
_VERSION = "1.0"  # of the schema
_HANDLERS = {  # handler → operation, and the names of its arguments
    "reboot.sh": ("reboot",),
    "download-file.sh": ("download", "url", "path"),
}


def read(document, job):
    """Fill in the job. Raises Refuse."""
    if field(document, "version", str, 1, _TEXT_MAX) != _VERSION:
        raise Refuse("version of the steps is not", _VERSION)
    steps = field(document, "steps", list, 1, _STEPS_MAX)
    if len(steps) > 1 or document.get("finalStep"):
        raise Refuse("more than one step")
    if document.get("conditions"):
        raise Refuse("conditions are not supported")
    if not isinstance(steps[0], dict):
        raise Refuse("job document lacks or misstates", "steps")
    read_operation(_order(field(steps[0], "action", dict)), job)


def _order(action):
    """The document of the operation that does what the action asks. Raises Refuse."""
    name = field(action, "name", str, 1, _TEXT_MAX)
    handler = None
    if field(action, "type", str, 1, _TEXT_MAX) == "runHandler":
        handler = field(field(action, "input", dict), "handler", str, 1, _TEXT_MAX)
    if handler not in _HANDLERS:
        raise Refuse("action not supported", name)
    operation, *names = _HANDLERS[handler]
    order = {"operation": operation}
    if names:
        values = field(action["input"], "args", list, len(names), len(names))
        order.update(zip(names, values))
    return order
