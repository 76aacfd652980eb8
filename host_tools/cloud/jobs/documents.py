"""The document of a job or of a template: given, or read from the bucket once."""

from typing import Any

from sluice.cloud.http.members import MARK, read_json
from sluice.cloud.refusal import invalid
from sluice.cloud.s3.bucket import Bucket
from sluice.cloud.s3.presigned import location

Parameters = dict[str, Any]

CHARACTERS = 32_768


def document(bucket: Bucket, given: Parameters) -> str:
    """The text that a request means; a Refusal for one that no device could be given."""
    text, source = given.get("document"), given.get("documentSource")
    if (text is None) == (source is None):
        raise invalid("a job needs document or documentSource, not both")
    return checked(read(bucket, source) if text is None else text)


def checked(text: str) -> str:
    """The text without a byte order mark, if it is a JSON object of the allowed length."""
    text = text.removeprefix(MARK)
    if len(text) > CHARACTERS:
        raise invalid(f"the job document exceeds {CHARACTERS} characters")
    try:
        parsed = read_json(text.encode())
    except ValueError:
        raise invalid("the job document is not JSON in UTF-8 with finite numbers") from None
    if not isinstance(parsed, dict):
        raise invalid("the job document is not a JSON object")
    return text


def read(bucket: Bucket, source: str) -> str:
    """What is at a URL now."""
    where = location(source)
    found = bucket.find(*where) if where else None
    if found is None:
        raise invalid(f"documentSource {source} is no object of this cloud")
    try:
        return found.read(0, 4 * CHARACTERS + 1).decode()
    except UnicodeDecodeError:
        raise invalid("the job document is not UTF-8") from None
