"""docs/getting-started-aws.md, followed word for word in a shell, with the local cloud as AWS."""

import ast
import json
import os
import subprocess
import sys

from pages import blocks

from host_tools.compile import FIRMWARE, ROOT

PAGE = (ROOT / "docs/getting-started-aws.md").read_text()
READ_S = 170
# A person waits with the next line until a cloud or a board is ready; here the shell does.
SHELL = """
set -eu
trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT
ready() {{
    for _ in $(seq 600); do grep -qs "$1" "$2" && return; sleep 0.1; done
    cat "$2"; exit 1
}}
sluice() {{
    case "$1 $2" in
        "cloud run") exec {python} -m host_tools.cli "$@" --port 0 --http-port 0 > cloud.log 2>&1;;
        "device run") exec {python} -m host_tools.cli "$@" > "$3.log" 2>&1;;
        "deploy "*)
            for log in pump.log valve.log; do [ ! -e $log ] || ready "agent idle" $log; done;;
    esac
    echo "> sluice $*" >&2
    {python} -m host_tools.cli "$@"
}}
"""


def literal(name: str):
    """What the device's config.py assigns to a name."""
    for node in ast.parse((FIRMWARE / "config.py").read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            return ast.literal_eval(node.value)
    raise AssertionError(name)


def test_page_on_aws_works_word_for_word_against_the_local_cloud(tmp_path):
    script = SHELL.format(python=sys.executable) + "\n".join(blocks(PAGE, "sh"))
    keep = "cp -r fleet/things kept\nsluice thing delete"
    script = script.replace("sluice thing delete", keep, 1)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=clean | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=READ_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nSUCCEEDED accepted v1.1.0\n" in done.stdout
    assert "\n2 SUCCEEDED\n" in done.stdout
    assert 'iot.CreateJob {"jobId"' in done.stdout
    assert not list((tmp_path / "fleet/things").iterdir())
    files = {file.name for file in (tmp_path / "kept/pump").iterdir()}
    assert all(f"`{name}`" in PAGE for name in files)
    config = json.loads((tmp_path / "kept/pump/config.json").read_text())
    assert set(literal("REQUIRED")) <= config.keys()
    assert config.keys() <= set(literal("REQUIRED")) | set(literal("OPTIONAL"))


def test_page_says_what_was_not_tried():
    for text in blocks(PAGE, "text"):
        assert (
            "not\ntried" in PAGE.split(text)[0][-300:] or "not tried" in PAGE.split(text)[0][-300:]
        )
    assert "Nobody has run this against AWS" in PAGE
