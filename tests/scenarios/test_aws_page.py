"""docs/getting-started-aws.md, followed word for word in a shell, with the local cloud as AWS."""

import ast
import json
import re
import shlex
from pathlib import Path

from botocore import exceptions, xform_name
from botocore.session import get_session
from pages import blocks

from sluice.compile import FIRMWARE, ROOT

PAGE = (ROOT / "docs/getting-started-aws.md").read_text()
SHELL = """
set -eux
trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT
"""


def literal(name: str):
    """What the device's config.py assigns to a name."""
    for node in ast.parse((FIRMWARE / "sluice/config.py").read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            return ast.literal_eval(node.value)
    raise AssertionError(name)


def test_page_on_aws_works_word_for_word_against_the_local_cloud(reader):
    script = SHELL + "\n".join(blocks(PAGE, "sh"))
    keep = "cp -r fleet/things kept\nsluice thing delete"
    script = script.replace("sluice thing delete", keep, 1)
    done = reader.pastes(script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nSUCCEEDED accepted v1.1.0\n" in done.stdout
    assert "\n2 SUCCEEDED\n" in done.stdout
    assert 'iot.CreateJob {"jobId"' in done.stdout
    assert not list((reader.folder / "fleet/things").iterdir())
    files = {file.name for file in (reader.folder / "kept/pump").iterdir()}
    assert all(f"`{name}`" in PAGE for name in files)
    config = json.loads((reader.folder / "kept/pump/config.json").read_text())
    assert set(literal("REQUIRED")) <= config.keys()
    assert config.keys() <= set(literal("REQUIRED")) | set(literal("OPTIONAL"))


def test_page_says_what_was_not_tried():
    for text in blocks(PAGE, "text"):
        before = " ".join(PAGE.split(text)[0][-300:].split())
        assert "not tried" in before, text
    assert "Nobody has run this against AWS" in PAGE


def test_commands_for_awss_own_cli_are_as_botocore_models_them():
    models = get_session()
    joined = "\n".join(blocks(PAGE, "text")).replace("\\\n", " ")
    asked = [shlex.split(line) for line in re.split(r"^(?=aws |openssl )", joined, flags=re.M)]
    asked = [words for words in asked if words and words[0] == "aws"]
    assert len(asked) >= 7
    for _, service, name, *options in asked:
        model = models.get_service_model(service)
        operations = {xform_name(one, "-"): one for one in model.operation_names}
        members = model.operation_model(operations[name]).input_shape
        given = {word[2:] for word in options if word.startswith("--")}
        assert given <= {xform_name(member, "-") for member in members.members}, (name, given)
        assert {xform_name(member, "-") for member in members.required_members} <= given, name


def test_page_explains_messages_that_there_are():
    table = PAGE.split("\n## When it does not work")[1].split("\n## ")[0]
    rows = [row.split(" | ")[0] for row in table.splitlines() if row.startswith("| ")][1:]
    files = [*(ROOT / "host_tools").rglob("*.py"), *FIRMWARE.rglob("*.py")]
    said = "".join(file.read_text() for file in [*files, Path(exceptions.__file__)])
    assert len(rows) >= 8
    for row in rows:
        for text in re.findall(r"`([^`]+)`", row):
            assert text in said, text
