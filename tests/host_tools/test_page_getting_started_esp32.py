"""docs/getting-started-esp32.md, followed word for word with a simulated board at the port."""

import ast
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pages import Reader, blocks, lines

from sluice.compile import ROOT
from sluice.device.supervisor import Board
from sluice.toolchain import umqtt

PAGE = (ROOT / "docs/getting-started-esp32.md").read_text()
PORT = "$PORT"  # as the page has it
IMAGE, MERGED = "ESP32_GENERIC-OTA.app-bin", "ESP32_GENERIC-OTA.bin"
COMPILING = "512k"  # heap of a board that compiles the firmware's sources itself
PASSWORD = "a good secret"


def simulated() -> list[str]:
    """The commands of the first step, those for a simulated board in place of those for a real."""
    installation, real, box = blocks(PAGE.split("\n## 1. ")[1].split("\n## ")[0], "sh")
    names = [line.partition("=")[0] for line in lines(real)]
    assert names == ["PORT", "ADDRESS"]
    assert {f"{name}=" for name in names} <= {line[: line.find("=") + 1] for line in lines(box)}
    return [*lines(installation), *lines(box)]


def section(title: str) -> list[str]:
    """The commands of a section."""
    text = PAGE.split(f"\n## {title}")[1].split("\n## ")[0]
    return [line for block in blocks(text, "sh") for line in lines(block)]


def test_page_followed_word_for_word_without_a_board_ends_in_an_update(reader: Reader):
    def does(title: str) -> list[str]:
        return [reader.does(line) for line in section(title)]

    for line in simulated():
        reader.does(line)
    log = reader.folder / "device.log"
    said = does("2.")
    assert "Hash of data verified" in said[-1]
    size = (reader.folder / MERGED).stat().st_size
    told = re.findall(r"(?:NOTE|WARNING): .*", said[-1])
    worrying = re.findall(r"- `((?:NOTE|WARNING): .*)`", PAGE)
    assert all(any(line.startswith(one) for one in worrying) for line in told), told
    assert "MicroPython is written: ESP32_GENERIC-OTA.bin, " in said[-1]
    assert "next: `sluice thing create NAME` " in said[-1].splitlines()[-1]
    assert f"download: {size} bytes at 0x1000" in log.read_text()
    reader.waits_for(lambda: "simulated ESP32" in log.read_text(), log)
    said += does("3.")
    said += does("4.")
    said += does("5.")
    first, second, deployed = said[-3:]
    assert "pump is ready: its agent waits for jobs" in first
    assert "board ESP32_GENERIC_OTA" in first
    assert "nothing to copy: all" in second
    assert "SUCCEEDED" in deployed
    assert "boot: ota_1 - trial" in log.read_text().splitlines()
    [line] = [line for line in section("5.") if line.startswith("sluice deploy")]
    assert "SUCCEEDED" in reader.does(f"{line} --protocol http")  # from there, too
    assert "boot: ota_0 - trial" in log.read_text().splitlines()
    assert PASSWORD not in "\n".join([*said, log.read_text()])
    reader.ends()
    board = Board(reader.folder / "lab", "pump")
    config = json.loads(board.read_file("/config.json"))
    assert config["wifi"] == {"ssid": "Workshop", "password": PASSWORD}
    assert config["endpoint"] == "127.0.0.2"


class Index(BaseHTTPRequestHandler):
    """MicroPython's package index, with umqtt.simple alone."""

    def do_GET(self) -> None:
        content = (umqtt() / "umqtt/simple.py").read_bytes()
        mark = hashlib.sha256(content).hexdigest()[:8]
        about = {"version": "1.3.4", "hashes": [["umqtt/simple.py", mark]]}
        answers = {
            "/package/6/umqtt.simple/latest.json": json.dumps(about).encode(),
            f"/file/{mark[:2]}/{mark}": content,
        }
        self.send_response(200 if self.path in answers else 404)
        self.end_headers()
        self.wfile.write(answers.get(self.path, b""))

    def log_message(self, *words: object) -> None:
        """Quiet."""


@pytest.fixture
def index() -> Iterator[str]:
    """Where that index is."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_board_set_up_with_mpremote_alone_waits_for_jobs(reader: Reader, index: str):
    lab = reader.folder / "lab"
    reader.begins()
    reader.sets(ADDRESS="127.0.0.2")
    for line in section("3."):
        reader.does(line)
    with Board(lab, "pump", blank=True, link=reader.folder / "port", heap=COMPILING) as board:
        reader.sets(PORT=f"./{board.link.name}")
        for told in section("Without"):
            reader.does(told.replace("mip install", f"mip install --index {index}"))
        board.wait_for("agent idle")


def test_page_shows_every_way_to_put_the_firmware_there():
    flashed, micropython = section("4."), section("2.")
    assert len(flashed) == 2 and all(line.startswith("sluice flash ") for line in flashed)
    assert "--firmware" in micropython[0]


def test_page_copies_files_that_there_are():
    for line in section("Without"):
        words = line.split()
        assert words[:3] == ["mpremote", "connect", PORT]
        for word in words[3:]:
            if word.startswith(("firmware/", "boards/")):
                assert (ROOT / word).is_file(), word


def explained() -> list[list[str]]:
    """Of each message in the page's table, the parts that are the same whatever the board is."""
    table = PAGE.split("\n## When it does not work")[1]
    rows = [row.split(" | ")[0].removeprefix("| ") for row in table.splitlines()[4:] if row]
    changing = r"\d+\.\d+\.\d+|\b90\b|circuitpython"
    messages = [message for row in rows for message in row.split("; ")]
    return [[part.strip() for part in re.split(changing, message)] for message in messages]


def said(file: Path) -> set[str]:
    """The messages of SluiceErrors in a module, with * for what is put in."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        name = getattr(getattr(node, "func", None), "id", "")
        if isinstance(node, ast.Call) and name in ("SluiceError", "_NoPromptError"):
            found.add(plain(node.args[0]))
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.JoinedStr):
            found.add(plain(node.value))  # the reason, where another function raises it
    return found


def plain(node: ast.expr) -> str:
    """An f-string's text."""
    if isinstance(node, ast.JoinedStr):
        return "".join(plain(part) for part in node.values)
    return node.value if isinstance(node, ast.Constant) else "*"


FLASH = ROOT / "host_tools/flash"
ABOUT_BOARDS = [ROOT / "host_tools/board_port.py"]
ABOUT_BOARDS += [FLASH / f"{name}.py" for name in ("boards", "inspection", "watching", "writing")]
ABOUT_LINE = [FLASH / "asking.py", FLASH / "micropython.py", ROOT / "host_tools/commands/flash.py"]


def test_page_explains_messages_that_there_are():
    known = {message for file in ABOUT_BOARDS + ABOUT_LINE for message in said(file)}
    assert len(explained()) > 20
    for parts in explained():
        assert any(all(part in message for part in parts) for message in known), parts


def test_page_explains_every_message_about_a_board_or_its_port():
    """What is wrong with the command line or a file is in the message itself."""
    messages = {message for file in ABOUT_BOARDS for message in said(file)}
    assert len(messages) > 20
    for message in messages - {"*", "*: *"}:
        assert any(all(part in message for part in parts) for parts in explained()), message
