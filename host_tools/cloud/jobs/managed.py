"""The job templates that AWS provides: their names, parameters and documents.

Each asks a device to run a script, or a command, whose arguments are the job's parameters. The
script and its arguments are AWS's; the descriptions are this cloud's own.

Source: the developer guide's page on managed templates.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from sluice.cloud.names import REGION
from sluice.cloud.refusal import invalid

Parameters = dict[str, Any]

VERSION = "1.0"
ENVIRONMENTS = ["LINUX"]
HOLDER = re.compile(r"\$\{aws:iot:parameter:(\w+)\}")


@dataclass(frozen=True)
class Parameter:
    """What a job of a template may set in its document."""

    key: str
    description: str
    example: str
    regex: str = "(.*?)"
    optional: bool = False

    def shape(self) -> Parameters:
        """A DocumentParameter."""
        return {
            "key": self.key,
            "description": self.description,
            "regex": self.regex,
            "example": self.example,
            "optional": self.optional,
        }


USER = Parameter(
    "runAsUser", "The user who runs it, the agent's own without.", "user1", "(.){0,256}", True
)
FOLDER = Parameter(
    "pathToHandler", "The folder of the script, the agent's own without.", "/opt", "(.){0,4096}",
    True,
)  # fmt: skip
URL = Parameter("downloadUrl", "Where the file is.", "https://example.com/index.html")
FILE = Parameter("filePath", "Where the device is to put it.", "/path/to/file")
PACKAGES = Parameter("packages", "Names of packages, with spaces between.", "curl jq")
SERVICES = Parameter("services", "Names of services, with spaces between.", "nginx cron")
COMMAND = Parameter("command", "The words of a command, with commas between.", "echo,ok")


@dataclass(frozen=True)
class Managed:
    """A template; without a script it runs its one parameter as a command."""

    action: str
    description: str
    script: str | None
    asked: tuple[Parameter, ...] = ()

    @property
    def name(self) -> str:
        return f"AWS-{self.action}"

    @property
    def arn(self) -> str:
        """Of no account: it is AWS's."""
        return f"arn:aws:iot:{REGION}::jobtemplate/{self.name}:{VERSION}"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (*self.asked, USER, FOLDER) if self.script else (*self.asked, USER)

    @property
    def document(self) -> str:
        """The document, with a placeholder for each parameter."""
        arguments = [holder(one) for one in self.asked]
        if self.script is None:
            kind, given = "runCommand", {"command": arguments[0]}
        else:
            kind = "runHandler"
            given = {"handler": self.script, "args": arguments, "path": holder(FOLDER)}
            if not arguments:
                del given["args"]
        action = {"name": self.action, "type": kind, "input": given, "runAsUser": holder(USER)}
        return json.dumps({"version": VERSION, "steps": [{"action": action}]})

    def filled(self, given: dict[str, str]) -> str:
        """The document with its parameters; a Refusal for missing and unknown ones."""
        known = {one.key: one for one in self.parameters}
        if foreign := sorted(given.keys() - known.keys()):
            raise invalid(f"{self.name} has no documentParameters {', '.join(foreign)}")
        needed = {key for key, one in known.items() if not one.optional}
        if missing := sorted(needed - given.keys()):
            raise invalid(f"{self.name} needs documentParameters {', '.join(missing)}")
        for key, value in given.items():
            if not re.fullmatch(known[key].regex, value):
                raise invalid(f"documentParameters {key} must match {known[key].regex}")
        return HOLDER.sub(lambda found: json.dumps(given.get(found[1], ""))[1:-1], self.document)


def holder(parameter: Parameter) -> str:
    """What stands for a parameter in a document."""
    return f"${{aws:iot:parameter:{parameter.key}}}"


# fmt: off
TEMPLATES = {one.name: one for one in (
    Managed("Download-File", "Downloads a file.", "download-file.sh", (URL, FILE)),
    Managed("Install-Application", "Installs packages.", "install-packages.sh", (PACKAGES,)),
    Managed("Reboot", "Starts the device again.", "reboot.sh"),
    Managed("Remove-Application", "Removes packages.", "remove-packages.sh", (PACKAGES,)),
    Managed("Restart-Application", "Starts services again.", "restart-services.sh", (SERVICES,)),
    Managed("Run-Command", "Runs a command.", None, (COMMAND,)),
    Managed("Start-Application", "Starts services.", "start-services.sh", (SERVICES,)),
    Managed("Stop-Application", "Stops services.", "stop-services.sh", (SERVICES,)),
)}
# fmt: on
