"""README.md and the pages of docs/: commands run, tables are true, links lead somewhere."""

import argparse
import ast
import contextlib
import io
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from pages import BEGINNING, blocks
from patience import FUSE_S

from bench import numbers as bench_numbers
from bench import pages as bench_pages
from bench import plots as bench_plots
from bench.__main__ import TABLES
from sluice import diagram, picture
from sluice.cli import parser
from sluice.compile import FIRMWARE, ROOT
from sluice.toolchain import RELEASES

README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTS = [
    *PAGES,
    *sorted((ROOT / "docs/commands").glob("*.md")),
    *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "boards/README.md")),
    FIRMWARE / "DESIGN.md",
]
MANUAL = "\n".join(file.read_text() for file in PAGES)
FORBIDDEN = (  # paths of one machine, and hosts that only a package manager needs to know
    r"(?<![\w.~/}])/(home|root|work|tmp|Users|mnt)/",
    r"(pypi|pythonhosted|npmjs|crates|proxy\.golang|deb\.debian)\.(org|io|com)",
)


def shell(text: str) -> list[str]:
    """The shell blocks of a document."""
    return blocks(text, "sh")


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table of a section, which one page has."""
    section = re.split(r"\n#{1,2} ", MANUAL.split(f"# {heading}\n")[1])[0]
    table = section[section.index("|") :].split("\n\n")[0].splitlines()
    return [
        [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in table[2:]
    ]


# --- commands ------------------------------------------------------------------------------------


def offered() -> dict[tuple[str, ...], set[str]]:
    """The options that each command takes, by its words."""
    found = {}

    def walk(path: tuple[str, ...], arguments) -> None:
        inner = [a for a in arguments._actions if isinstance(a, argparse._SubParsersAction)]
        for action in inner:
            for name, child in action.choices.items():
                walk((*path, name), child)
        if not inner:
            options = {option for a in arguments._actions for option in a.option_strings}
            found[path] = {option for option in options if option.startswith("--")} - {"--help"}

    walk((), parser())
    return found


@pytest.mark.parametrize("path", offered(), ids=" ".join)
def test_command_helps(path):
    with contextlib.redirect_stdout(io.StringIO()) as printed, pytest.raises(SystemExit) as end:
        parser().parse_args([*path, "--help"])
    assert end.value.code == 0
    assert " ".join(path) in printed.getvalue()


@pytest.mark.parametrize("text", [text for file in DOCUMENTS for text in shell(file.read_text())])
def test_command_in_a_shell_block_is_understood(text):
    for line in text.replace("\\\n", "").splitlines():
        if line.startswith("sluice "):
            line = re.sub(r"\$\w+", "127.0.0.2", line)  # an address, and a name as good as any
            words = shlex.split(line, comments=True)
            parser().parse_args([word for word in words[1:] if word != "&"])


@pytest.mark.parametrize("file", sorted((ROOT / "docs").glob("*.md")), ids=lambda file: file.name)
def test_page_with_commands_begins_with_the_installation(file):
    found = shell(file.read_text())
    assert not found or found[0] == BEGINNING


def test_make_targets_of_the_readme_exist_and_ci_runs_the_tests():
    targets = set(
        re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    )
    wanted = set(
        re.findall(r"^make ([a-z0-9-]+)", "\n".join([*shell(README), *inline()]), re.MULTILINE)
    )
    assert {"demo", "test"} <= wanted <= targets
    assert "make test" in (ROOT / ".ci/run").read_text().splitlines()


def test_releases_that_the_tests_run_on_are_those_of_the_toolchain():
    page = (ROOT / "docs/testing.md").read_text()
    stated = re.findall(r"^\| `(\S+)` \| (\S+) \| (\S+) \|", page, re.MULTILINE)
    assert stated == [(name, one.version, one.suite) for name, one in RELEASES.items()]


def test_make_flash_is_sluice_flash():
    line = ["make", "--dry-run", "flash", "PORT=/dev/ttyUSB0", "THING=pump", "STATE=there"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=FUSE_S)
    wanted = "sluice flash --port /dev/ttyUSB0 --thing pump --state there"
    assert wanted in done.stdout, done.stderr


def inline() -> list[str]:
    """What the README has in backticks."""
    return re.findall(r"`([^`\n]+)`", README)


def test_image_and_signature_can_be_made_as_documented(reader):
    reader.begins()
    reader.does("sluice image make app.bin --version 1.1.0 --size 180225 --self-test fail")
    assert (reader.folder / "app.bin").stat().st_size == 180_225
    assert json.loads(reader.does("sluice image show app.bin --json"))["version"] == "1.1.0"
    assert reader.does("sluice sign app.bin --key signer.key --new-key").startswith("ME")
    assert {"signer.key", "signer.crt"} <= {file.name for file in reader.folder.iterdir()}


# --- tables --------------------------------------------------------------------------------------


def literal(path: Path, name: str):
    """The value that a module of the device assigns to a name."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            return ast.literal_eval(node.value)
    return None


def test_configuration_is_documented_key_by_key():
    stated = [
        (
            row[0].strip("`"),
            json.loads(row[1].strip("`")),
            *(int(n.replace(",", "")) for n in row[2:4]),
        )
        for row in rows("config.json")
    ]
    optional = literal(FIRMWARE / "sluice/config.py", "OPTIONAL")
    assert stated == [(key, *row) for key, row in optional.items()]
    for key in literal(FIRMWARE / "sluice/config.py", "REQUIRED"):
        assert f"`{key}`" in MANUAL.split("\n## config.json\n")[1].split("\n|")[0]


def wire() -> dict[str, tuple[str, dict]]:
    """The AWS dialect's words for each step."""
    found = [literal(file, "WIRE") for file in (FIRMWARE / "sluice/clouds").glob("*.py")]
    (words,) = [words for words in found if words]
    return words


ANSWERED = "accepted"  # the step that a dialect tells by itself: as it takes the job


def told() -> set[str]:
    """The steps that the device's code reports or owes anywhere, where it names them."""
    steps = set()
    for file in (FIRMWARE / "sluice").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            place = {"report": 1, "owe": 0}.get(getattr(getattr(node, "func", None), "attr", ""))
            if place is not None:
                said = node.args[place]
                choices = (said.body, said.orelse) if isinstance(said, ast.IfExp) else (said,)
                steps.update(one.value for one in choices if isinstance(one, ast.Constant))
    return steps


def test_jobs_that_the_board_knows_are_documented():
    documents = " ".join(row[0] for row in rows("What a job may ask"))
    plugins = FIRMWARE / "sluice/plugins.py"
    for key, *_ in literal(plugins, "DOCUMENTS"):
        assert f'"{key}": ' in documents, key
    for name in literal(plugins, "OPERATIONS"):
        assert f'{{"operation": "{name}"' in documents, name


def test_orders_are_documented_step_by_step():
    words = literal(FIRMWARE / "sluice/clouds/product_words.py", "STATUS")
    stated = {row[0]: row[1:] for row in rows("What the gateway reports")}
    assert stated.keys() == words.keys() == told() | {ANSWERED}
    for step, (status, share, upgrading) in words.items():
        assert stated[step][0] == f"`{status}`", step
        if status in ("failed", "rejected"):
            continue
        assert int(stated[step][1].split()[0]) == share, step
        assert stated[step][2] == ("upgrade_firmware" if upgrading else "download_firmware"), step


def test_reports_are_documented_with_their_status():
    stated = {row[0]: row for row in rows("What is reported, and when")}
    assert wire().keys() == told() | {ANSWERED}
    assert told() <= stated.keys() <= wire().keys() | {"progress"}
    for step, (status, details) in wire().items():
        if step in stated:
            assert stated[step][2] == f"`{status}`", step
            assert set(re.findall(r"`(\w+)`", stated[step][3])) == set(details), step


def test_numbers_of_the_readme_are_those_of_the_results():
    found = bench_numbers.load()
    placed = bench_pages.placed(README, found)
    assert placed == README, "run: .venv/bin/python -m bench --readme"
    assert "–" not in bench_pages.headlines(found)
    page = bench_pages.page(TABLES, found)
    assert bench_pages.RESULTS.read_text() == page, "run: .venv/bin/python -m bench --readme"


def test_plots_are_those_of_the_results_and_their_page_shows_them():
    figures = bench_plots.figures(bench_numbers.load())
    for name, svg in figures.items():
        assert (bench_plots.FOLDER / name).read_text() == svg, "run: make bench"
    shown = re.findall(r"\(plots/(\S+?)\)", bench_pages.RESULTS.read_text())
    assert shown and set(shown) <= figures.keys()


def answered() -> dict[str, set[str]]:
    """The operations of each of boto3's clients that the local cloud has a handler for."""
    clients = {
        "jobs/over_https.py": "iot-jobs-data",
        "shadow/api.py": "iot-data",
        "mqtt/publish.py": "iot-data",
    }
    found: dict[str, set[str]] = {}
    cloud = ROOT / "host_tools/cloud"
    for file in cloud.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name == "operations":
                keys = [key for table in ast.walk(node) for key in getattr(table, "keys", ())]
                client = clients.get(file.relative_to(cloud).as_posix(), "iot")
                names = found.setdefault(client, set())
                names |= {key.value for key in keys}
    return found


def test_calls_of_the_local_cloud_are_those_that_it_answers():
    text = MANUAL.split("\n| client | calls |\n")[1].split("\n\n")[0]
    stated = {}
    for line in text.splitlines()[1:]:
        client, *names = re.findall(r"`([^`]+)`", line)
        stated[client] = set(names)
    assert stated.pop("s3") == set()
    assert stated == answered()


# --- pictures ------------------------------------------------------------------------------------


def test_readme_shows_the_pictures():
    shown = re.findall(r'(?:src|srcset)="docs/pictures/(\S+)"', README)
    assert set(shown) == picture.pictures().keys()


def test_texts_of_a_picture_stand_out_from_what_is_behind_them():
    """By a contrast of 4.5, which WCAG asks of small texts."""
    for name, one in picture.PALETTES.items():
        for behind in (one.ground, one.panel, one.runs, one.new):
            assert contrast(one.text, behind) > 4.5, (name, behind)
        for colour in (one.quiet, one.good, one.bad):
            assert contrast(colour, one.panel) > 4.5, (name, colour)


def contrast(one: str, other: str) -> float:
    """Of two colours, as WCAG defines it: 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """Of a colour like #1f2328, 0 to 1."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


# --- documents -----------------------------------------------------------------------------------


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_document_links_to_what_is_there(file):
    for target in re.findall(r"\]\(([^)]+)\)", file.read_text()):
        assert "://" in target or (file.parent / target.partition("#")[0]).exists(), target


def test_list_of_pages_has_them_all():
    listed = set(re.findall(r"\]\(([\w/-]+\.md)\)", (ROOT / "docs/README.md").read_text()))
    assert {file.name for file in (ROOT / "docs").glob("*.md")} - {"README.md"} <= listed
    assert "(docs/README.md)" in README


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_table_of_a_document_is_one(file):
    """A blank line would end it: what follows has no heading then, and is no table."""
    text = re.sub(r"^```.*?^```", "", file.read_text(), flags=re.MULTILINE | re.DOTALL)
    for table in re.findall(r"(?:^\|.*\n)+", text + "\n", re.MULTILINE):
        heading, *rest = table.splitlines()
        assert rest and re.fullmatch(r"\|(:?-+:?\|)+", rest[0]), heading
        for line in rest:
            columns = [len(re.findall(r"(?<!\\)\|", one)) for one in (heading, line)]
            assert columns[0] == columns[1], line


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_document_names_nothing_of_one_machine(file):
    for pattern in FORBIDDEN:
        found = re.search(pattern, file.read_text())
        assert not found, found


@pytest.mark.parametrize(
    "words", [("see ", "work", "sluice"), ("in ", "root"), ("pypi." + "org",)]
)
def test_forbidden_is_found(words):
    text = "/".join([*words, ""])  # put together here, as the text itself is not to stand anywhere
    assert any(re.search(pattern, text) for pattern in FORBIDDEN)


@pytest.mark.parametrize(
    "file", sorted((ROOT / "docs").glob("*.json")), ids=lambda file: file.name
)
def test_policy_is_json_with_statements(file):
    for statement in json.loads(file.read_text())["Statement"]:
        assert {"Sid", "Effect", "Action", "Resource"} == statement.keys()


def test_drawing_of_the_states_has_them_all():
    table = diagram.names(ast.parse((FIRMWARE / "sluice/agent/table.py").read_text()))
    events = {event for row in table["TRANSITIONS"].values() for event in row}
    assert events | set(table["TRANSITIONS"]) <= set(re.findall(r"\w+", diagram.block()))


# --- the board's prompt --------------------------------------------------------------------------


def test_verbs_of_the_prompt_are_those_of_the_console():
    tree = ast.parse((FIRMWARE / "sluice/console/verbs.py").read_text())
    (given,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
    ]
    told = {re.match(r"`(\w+)", row[0])[1] for row in rows("The console")}
    assert told == set(given)
