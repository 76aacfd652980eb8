"""docs/getting-started-esp32.md, followed word for word with a simulated board at the port."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pages import Reader, blocks, lines

from host_tools.compile import ROOT
from host_tools.device.supervisor import Board
from host_tools.image import pack_image
from host_tools.toolchain import umqtt

PAGE = (ROOT / "docs/getting-started-esp32.md").read_text()
PORT, ADDRESS = "/dev/ttyUSB0", "192.168.1.20"
IMAGE = "ESP32_GENERIC-OTA.app-bin"
COMPILING = "512k"  # heap of a board that compiles the firmware's sources itself
PASSWORD = "a good secret"
HEAP = "100k"  # an ESP32 begins with less and takes more when it needs it; Wi-Fi is Python here


@pytest.fixture
def board(tmp_path: Path, reader: Reader) -> Iterator[Board]:
    """What step 2 leaves: MicroPython alone, at the port."""
    (tmp_path / "lab").mkdir()
    made = Board(tmp_path / "lab", "pump", blank=True, link=tmp_path / "port", heap=HEAP).start()
    yield made
    made.stop()


def section(title: str) -> list[str]:
    """The commands of a section."""
    text = PAGE.split(f"\n## {title}")[1].split("\n## ")[0]
    return [line for block in blocks(text, "sh") for line in lines(block)]


@pytest.mark.timeout(300)
def test_page_followed_word_for_word_ends_in_an_update(
    reader: Reader, board: Board, tmp_path: Path
):
    reader.sets(SLUICE_WIFI_PASSWORD=PASSWORD)
    (tmp_path / IMAGE).write_bytes(pack_image("", {}, 300_000))  # as MicroPython's: no firmware
    said = []
    for title in ("1.", "3.", "4.", "5."):
        for line in section(title):
            said.append(
                reader.does(line.replace(PORT, str(board.link)).replace(ADDRESS, "127.0.0.2"))
            )
    first, second, deployed = said[-3:]
    assert "pump is ready: its agent waits for jobs" in first
    assert "board ESP32_GENERIC_OTA" in first
    assert "nothing to copy: all" in second
    assert "SUCCEEDED" in deployed
    assert any(line == "boot: ota_1 - trial" for line in board.lines)
    [line] = [line for line in section("5.") if line.startswith("sluice deploy")]
    assert "SUCCEEDED" in reader.does(f"{line} --protocol http")  # from there, too
    assert any(line == "boot: ota_0 - trial" for line in board.lines)
    assert PASSWORD not in "\n".join([*said, *board.lines])
    board.stop()
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


@pytest.mark.timeout(300)
def test_board_set_up_with_mpremote_alone_waits_for_jobs(
    reader: Reader, tmp_path: Path, index: str
):
    reader.begins()
    for line in section("3."):
        reader.does(line.replace(ADDRESS, "127.0.0.2"))
    with Board(
        tmp_path / "lab", "pump", blank=True, link=tmp_path / "port", heap=COMPILING
    ) as board:
        for line in section("Without"):
            told = line.replace(PORT, str(board.link))
            reader.does(told.replace("mip install", f"mip install --index {index}"))
        board.wait_for("agent idle", 60)


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


def test_page_explains_messages_that_there_are():
    table = PAGE.split("\n## When it does not work")[1]
    messages = [row.split(" | ")[0].removeprefix("| ") for row in table.splitlines()[4:] if row]
    files = [ROOT / "host_tools/board_port.py", *(ROOT / "host_tools/flash").glob("*.py")]
    files.append(ROOT / "host_tools/commands/flash.py")
    said = "".join(file.read_text() for file in files)
    assert len(messages) > 10
    for message in messages:
        for part in re.split(r"\d+\.\d+\.\d+|\b90\b", message):
            assert part.strip() in said, message
