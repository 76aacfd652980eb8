"""docs/failures.md names every reason that a job can end with, and none that it cannot."""

import ast
import re
from collections.abc import Iterator

from botocore.session import get_session
from sources import device_files, parsed, where

from sluice.compile import FIRMWARE, ROOT

PAGE = (ROOT / "docs/failures.md").read_text()
WIRE = next(  # the AWS dialect's steps: what a board says itself
    ast.literal_eval(node.value)
    for node in ast.parse((FIRMWARE / "sluice/clouds/aws_updates.py").read_text()).body
    if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "WIRE"
)
FINAL = ("Refuse", "Fail")  # what a job ends with; ConfigError and Retry it never hears of


def rows(*headers: str) -> Iterator[list[str]]:
    """The cells of every row of the tables whose first column is called so."""
    for table in re.findall(r"^\| (.+?) \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE):
        if table[0] in headers:
            for line in table[1].splitlines():
                yield line.strip("| ").split(" | ")


def quoted(text: str) -> list[str]:
    """What a cell has in backticks."""
    return re.findall(r"`([^`]+)`", text)


def stated() -> set[str]:
    """The reasons of the page, as the code begins them."""
    return {text for cells in rows("reason", "log") for text in quoted(cells[0])}


def raised() -> dict[str, str]:
    """Every literal reason in the device's code, with the place of it."""
    found = {}
    for file in device_files():
        for node in ast.walk(parsed(file)):
            name = getattr(getattr(node, "func", None), "id", "")
            if name in FINAL and node.args and isinstance(node.args[0], ast.Constant):
                found[node.args[0].value] = where(file, node)
    return found


def test_every_reason_is_on_the_page():
    lacking = {reason: place for reason, place in raised().items() if reason not in stated()}
    assert not lacking, "docs/failures.md lacks " + ", ".join(
        f"{reason!r} ({place})" for reason, place in lacking.items()
    )


def test_reasons_of_the_page_are_in_the_code():
    code = "\n".join(file.read_text() for file in device_files())
    for text in stated():
        words = text.partition(" …")[0].partition("…")[0].removeprefix("rolled back: ").strip()
        assert words in code, f"{text}: nothing says {words!r}"


def test_page_says_what_to_do_about_each():
    told = list(rows("reason", "log", "status", "result", "it says"))
    lines = [line for line in PAGE.splitlines() if line.startswith("|")]
    tables = [line for line in lines if line.startswith("|--")]
    assert len(told) == len(lines) - 2 * len(tables), "a table of another kind, or a row outside"
    for cells in told:
        assert len(cells) == 3 and all(cells), cells


def test_statuses_that_the_cloud_ends_with_are_on_the_page():
    model = get_session().get_service_model("iot").shape_for("JobExecutionStatus")
    cloud = set(model.enum) - {status for status, _ in WIRE.values()} - {"QUEUED"}
    assert {text for cells in rows("status") for text in quoted(cells[0])} == cloud


def test_results_of_orders_are_on_the_page():
    sent = set()
    for name in ("product_words.py", "product_orders.py"):
        tree = ast.parse((FIRMWARE / "sluice/clouds" / name).read_text())
        numbers = (getattr(node, "value", None) for node in ast.walk(tree))
        sent |= {str(number) for number in numbers if number in range(312_000, 313_000)}
    assert {text for cells in rows("result") for text in quoted(cells[0])} == sent


def test_what_deploy_says_on_the_page_is_said_by_it_or_by_aws():
    fleet = "\n".join(file.read_text() for file in (ROOT / "host_tools/fleet").glob("*.py"))
    for said, why, _ in rows("it says"):
        for text in quoted(said):
            assert text.strip(": ") in fleet or re.search(r"AWS's `[A-Z]\w+`", why), text
    for name in ("CREATE_FAILED", "AccessDenied", "BucketAlreadyExists", "not versioned"):
        assert name in PAGE
