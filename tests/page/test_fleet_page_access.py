"""Who may see the page: its token, its cookie, and whose requests are heard."""

import json
from collections.abc import Iterator
from threading import Event
from urllib.parse import urlsplit

import pytest
from browsing import served
from page_scene import Scene
from visitor import Visitor

from sluice.page import access, live


@pytest.fixture
def visitor(fleet) -> Iterator[Visitor]:
    made = Visitor(fleet.endpoint)
    yield made
    made.close()


def test_token_opens_the_page_once(fleet, visitor):
    address = fleet.address
    assert visitor.ask("/fleet/session").status == 401
    assert visitor.enter(address).status == 204
    assert visitor.ask("/fleet/session").status == 204
    assert visitor.enter(address).status == 401


def test_new_address_voids_the_earlier_one(fleet, visitor):
    earlier, later = fleet.address, fleet.address
    assert visitor.enter(earlier).status == 401
    assert visitor.enter(later).status == 204


def test_wrong_token_does_not_use_up_the_right_one(fleet, visitor):
    address = fleet.address
    assert visitor.enter(f"{fleet.endpoint}/fleet/#{'x' * access.TOKEN_LENGTH}").status == 401
    assert visitor.enter(f"{fleet.endpoint}/fleet/#{'é' * 5}").status == 401
    assert visitor.enter(f"{fleet.endpoint}/fleet/#").status == 401
    assert visitor.enter(f"{fleet.endpoint}/fleet/#{'x' * 5_000}").status == 413
    assert visitor.enter(address).status == 204


def test_token_and_session_have_an_end():
    now = [1_000.0]
    made = access.Access(lambda: now[0])
    token = made.token()
    now[0] += access.TOKEN_S
    assert made.exchange(token) is None
    name = made.exchange(made.token())
    now[0] += access.SESSION_S - 1
    assert made.admits(name)
    now[0] += 1
    assert not made.admits(name)


def test_sessions_are_bounded_and_the_oldest_goes():
    made = access.Access()
    names = [made.exchange(made.token()) for _ in range(access.SESSIONS + 1)]
    assert [made.admits(name) for name in names] == [False] + [True] * access.SESSIONS


def test_cookie_is_for_this_page_and_no_script(fleet, visitor):
    said = visitor.enter(fleet.address).headers["Set-Cookie"].lower().split("; ")
    assert {"httponly", "samesite=strict", "path=/fleet/"} <= set(said)
    port = urlsplit(fleet.endpoint).port
    assert said[0].startswith(f"sluice-{port}=")  # other ports of a machine have the same jar


@pytest.mark.parametrize("path", ["/fleet/events", "/fleet/events/thing/loft", "/fleet/session"])
def test_nothing_is_told_without_a_session(visitor, path):
    answer = visitor.ask(path, Cookie=f"sluice-{urlsplit(visitor.origin).port}=guessed")
    assert answer.status == 401 and answer.read() == b""


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
    ],
)
def test_other_pages_are_not_heard(fleet, visitor, headers):
    assert visitor.enter(fleet.address, **headers).status == 403
    visitor.enter(fleet.address)
    assert visitor.ask("/fleet/", **headers).status == 403
    assert visitor.ask("/fleet/events", **headers).status == 403


def test_token_is_exchanged_only_by_the_page_itself(fleet, visitor):
    address = fleet.address
    assert visitor.enter(address, Origin="").status == 403
    assert visitor.enter(address, Sec_Fetch_Site="same-site").status == 403
    assert visitor.enter(address, Sec_Fetch_Site="same-origin").status == 204


def test_page_of_another_port_of_this_machine_gets_no_events(fleet, visitor):
    visitor.enter(fleet.address)
    assert visitor.ask("/fleet/events", Sec_Fetch_Site="same-site").status == 401


@pytest.mark.parametrize("name", ["", "page.css", "page.js"])
def test_files_come_with_the_policy_that_forbids_all_else(visitor, name):
    answer = visitor.ask(f"/fleet/{name}")
    assert answer.status == 200
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    text = answer.read().decode()
    assert "://" not in text.replace("http://www.w3.org/2000/svg", "")  # nothing from elsewhere
    assert "innerHTML" not in text and "<style" not in text and " style=" not in text


def test_path_without_its_slash_leads_there(visitor):
    answer = visitor.ask("/fleet")
    assert (answer.status, answer.headers["Location"]) == (308, "/fleet/")


@pytest.mark.parametrize(
    "path", ["events/thing/..", "events/group/x", "events/job/a:b", "other", "page.html"]
)
def test_what_is_not_there_is_not_found(fleet, visitor, path):
    visitor.enter(fleet.address)
    assert visitor.ask(f"/fleet/{path}").status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_page_only_reads(fleet, visitor, method):
    visitor.enter(fleet.address)
    assert visitor.ask("/fleet/events", method, "x", Origin=visitor.origin).status == 405


def test_viewers_are_bounded(fleet, visitor):
    visitor.enter(fleet.address)
    for _ in range(live.VIEWERS):
        stream = visitor.ask("/fleet/events")
        assert stream.status == 200 and stream.readline() == b"retry: 2000\n"
    assert visitor.ask("/fleet/events").status == 503


class Silent(Scene):
    """A cloud that never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.ended = Event(), Event()

    def fleet(self):
        self.asked.set()
        self.ended.wait()
        return super().fleet()


def test_server_ends_while_the_cloud_is_silent():
    silent = Silent()
    with served(silent) as fleet:
        visitor = Visitor(fleet.endpoint)
        visitor.enter(fleet.address)
        visitor.ask("/fleet/events").readline()
        silent.asked.wait()
    silent.ended.set()
    visitor.close()


def test_events_tell_all_at_first(fleet, visitor):
    visitor.enter(fleet.address)
    stream, found = visitor.ask("/fleet/events/thing/pump-south"), {}
    while "thing-details" not in found:
        name, _, text = stream.readline().decode().strip().partition(": ")
        if name == "event":
            event = text
        elif name == "data":
            found.setdefault(event, []).append(json.loads(text))
    assert len(found["thing"]) == 12 and len(found["job"]) == 3
    [details] = found["thing-details"]
    assert details["filling"] == {
        "kind": "image", "size": 1_468_006, "runs": False,
        "unit": "sectors", "done": 212, "total": 359,
    }  # fmt: skip
