"""What an API call may be refused with."""

from collections.abc import Iterable
from sqlite3 import Row
from typing import Any

from sluice.errors import SluiceError, meant


class Refusal(SluiceError):
    """An error of the service's model: its shape's name, a sentence, and further members."""

    def __init__(self, code: str, message: str, **members: Any) -> None:
        super().__init__(message)
        self.code = code
        self.members = members


def invalid(message: str) -> Refusal:
    """The request makes no sense, whatever is stored."""
    return Refusal("InvalidRequestException", message)


def not_found(what: str, name: str, stored: Iterable[Row] = ()) -> Refusal:
    """The thing, job, stream … is not stored; of those that are, the likely name is told."""
    likely = meant(name, (row[0] for row in stored))
    return Refusal("ResourceNotFoundException", f"unknown {what} {name}{likely}")


def exists(what: str, name: str, arn: str) -> Refusal:
    """There is one of that name already."""
    members = {"resourceId": name, "resourceArn": arn}
    return Refusal("ResourceAlreadyExistsException", f"{what} {name} exists already", **members)
