"""The page of a real cloud while a simulated board takes updates, and of `sluice fleet --web`."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browsing import go, opened
from patience import FUSE_S
from playwright.sync_api import expect
from stage import Cloud, Stage, image, soon
from typed import complaint
from visitor import Visitor

from sluice.image.modules import SELF_TESTS
from sluice.page.access import TOKEN_LENGTH

SMALL = 180_224  # bytes, 44 sectors
SLOWLY = {"delay": {"topic": "/data/", "ms": 5}}  # a block: enough for several reports
OUTSIDE = "127.0.0.2"  # an address that boards reach


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud of this module, which boards reach at one address more."""
    made = Cloud(tmp_path_factory.mktemp("paged") / "state", "--listen", OUTSIDE)
    yield made.start(SLOWLY)
    made.stop()


@pytest.fixture
def scene(cloud: Cloud, tmp_path: Path, release: str) -> Iterator[Stage]:
    """A thing with a board that reports each second."""
    made = cloud.stage(tmp_path, shadow="classic", block=256, window=4_096)
    made.power_on()
    yield made
    print(f"the board at the end:\n{made.tail}")  # for who reads of a failure
    made.board.stop()
    made.board.flash.release()


class Web:
    """`sluice fleet --web` as a process; its address is of this test."""

    def __init__(self, *words: object, **variables: str) -> None:
        line = ("fleet", "--web", *map(str, words))
        command = [sys.executable, "-m", "sluice.cli", *line]
        env = os.environ | variables
        self.process = subprocess.Popen(
            command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.line = self.process.stdout.readline()
        self.address = self.line.removeprefix("page ").strip()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Its exit code; what it printed more is empty."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=FUSE_S)
        assert rest == ""
        return self.process.returncode


@pytest.fixture
def web(cloud: Cloud) -> Iterator[Web]:
    made = Web("--state", cloud.state.root)
    yield made
    if made.process.poll() is None:
        made.end()


@pytest.fixture
def web_of_aws(cloud: Cloud) -> Iterator[Web]:
    """The same with --aws, which the local cloud stands for."""
    about = cloud.state.running()
    made = Web(
        "--aws",
        AWS_ENDPOINT_URL=about["http_endpoint"],
        AWS_DEFAULT_REGION=about["region"],
        AWS_ACCESS_KEY_ID=about["access_key"],
        AWS_SECRET_ACCESS_KEY=about["secret_key"],
    )
    yield made
    made.end()


def test_page_of_an_account_shows_its_things(browser, cloud, web_of_aws):
    cloud.calls.iot.create_thing(thingName="of-the-account")
    with opened(browser, web_of_aws.address) as tab:
        expect(tab.locator("#where")).to_have_text("AWS us-east-1")
        row = tab.get_by_role("row", name=re.compile("^of-the-account"))
        expect(row).to_contain_text("none")


def test_update_fills_the_map_and_the_slots_change_roles(browser, cloud, scene):
    address = re.search(r"^page (\S+)$", cloud.said, re.MULTILINE)[1]  # opens once: this time
    with opened(browser, address) as tab:
        go(tab, f"#/thing/{scene.name}", "#update")
        job = scene.deploy(image("1.1.0", SMALL))
        shown = tab.locator("main figure").nth(1)
        expect(shown).to_contain_text(re.compile(r"^ota_1is being filled"))
        seen: set[str] = set()

        def filled() -> bool:
            seen.add(shown.locator(".map").get_attribute("aria-label"))
            return len(seen) > 2

        soon(filled)
        assert all(re.fullmatch(r"\d+ of 44 sectors are written", text) for text in seen)
        assert scene.verdict(job).status == "SUCCEEDED"
        expect(shown).to_contain_text(re.compile(r"^ota_1 1\.1\.0runs"))
        expect(shown).to_contain_text("44 of 44 sectors")
        back = re.compile(r"^ota_0the way back1\.0\.0It ran before")
        expect(tab.locator("main figure").first).to_contain_text(back)
        expect(tab.locator("main")).to_contain_text("accepted v1.1.0")
        assert not tab.locator("#news").text_content().endswith("in progress")


def test_board_that_goes_back_is_shown_with_its_reason(browser, scene, web):
    with opened(browser, web.address) as tab:
        job = scene.deploy(image("1.1.0", SMALL, app=SELF_TESTS["fail"]))
        row = tab.get_by_role("row", name=re.compile(f"^{scene.name}"))
        expect(row).to_contain_text("downloading")
        assert scene.verdict(job).status == "FAILED"
        expect(row).to_contain_text("rolled back: self-test failed")
        go(tab, f"#/job/{job}", "#executions")
        expect(tab.locator("main tbody tr")).to_contain_text("rolled back: self-test failed")


def test_address_fits_on_a_narrow_line_and_its_token_is_nowhere_else(cloud, web):
    for line in (web.line.strip(), re.search(r"^page .*$", cloud.said, re.MULTILINE)[0]):
        pattern = rf"page http://127\.0\.0\.1:\d+/fleet/#\w{{{TOKEN_LENGTH}}}"
        assert re.fullmatch(pattern, line) and len(line) <= 60
        token = line.rpartition("#")[2]
        files = [file for file in cloud.state.root.rglob("*") if file.is_file()]
        assert files and not any(token.encode() in file.read_bytes() for file in files)
        assert cloud.said.count(token) in (0, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_page_of_its_own_ends_in_order_while_somebody_looks(web, number):
    visitor = Visitor(web.address.partition("/fleet/")[0])
    assert visitor.enter(web.address).status == 204
    assert visitor.ask("/fleet/events").readline() == b"retry: 2000\n"
    assert web.end(number) == 0
    visitor.close()


def test_boards_are_not_served_the_page(cloud):
    outside = re.search(rf"http://{re.escape(OUTSIDE)}:\d+", cloud.said)[0]
    own = cloud.state.running()["http_endpoint"]
    for endpoint, status in ((outside, 403), (own, 200)):
        line = HTTPConnection(urlsplit(endpoint).netloc, timeout=FUSE_S)
        line.request("GET", "/fleet/")
        answer = line.getresponse()
        assert (answer.status, b"<main" in answer.read()) == (status, status == 200)
        line.close()


def test_bucket_of_the_name_of_the_page_is_a_bucket(cloud):
    s3 = cloud.calls.s3
    s3.create_bucket(Bucket="fleet")
    s3.put_object(Bucket="fleet", Key="page.css", Body=b"mine")
    assert s3.get_object(Bucket="fleet", Key="page.css")["Body"].read() == b"mine"


def test_options_that_a_page_has_not_are_refused(cloud):
    line = ("fleet", "--web", "--state", cloud.state.root)
    assert "--failed" in complaint(*line, "--failed")
    assert "--port is for --web, 0 to 65535" in complaint(*line, "--port", "65536")
    assert "--port is for --web" in complaint(*line[:1], *line[2:], "--port", "1")
