"""What goes wrong on purpose when a file is fetched, goes wrong as its rule says."""

import http.client
import json
import os
import time
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from cloud_world import KEY
from patience import FUSE_S

from sluice.cloud.faults import KEYS, Faults
from sluice.cloud.http.server import WebServer
from sluice.cloud.http_faults import SPOILT, HTTPFaults
from sluice.cloud.s3.bucket import Bucket
from sluice.cloud.s3.face import S3
from sluice.cloud.s3.presigned import presign
from sluice.cloud.store import Store

DATA = bytes(n % 251 for n in range(10_000))
SPAN = {"Range": "bytes=4096-8191"}
LIFETIME_S = 60  # of the URL


class Server:
    """A bucket behind faults, and one connection to it."""

    def __init__(self, folder) -> None:
        self._file = folder / "faults.json"
        self._file.write_text("{}")
        self._store = Store(folder / "cloud.db")
        bucket = Bucket(self._store, folder / "objects")
        bucket.create("images")
        bucket.publish("images", "a", bucket.write([DATA]), {})
        self.faults = Faults(self._file)
        self._web = WebServer(0, {"s3": HTTPFaults(self.faults, S3(bucket, KEY))})
        self._web.start()
        self.endpoint = f"http://127.0.0.1:{self._web.server_port}"
        self.url = presign(self.endpoint, "/images/a", LIFETIME_S, time.time(), KEY)
        self.line = http.client.HTTPConnection(urlsplit(self.endpoint).netloc, timeout=FUSE_S)

    def rules(self, **rules) -> None:
        self._file.write_text(json.dumps(rules))
        os.utime(self._file, (1, 1))  # certainly another time than before
        self.faults.refresh()

    def get(self, url: str = "", **headers: str) -> http.client.HTTPResponse:
        self.line.request("GET", (url or self.url).removeprefix(self.endpoint), headers=headers)
        return self.line.getresponse()

    def close(self) -> None:
        self.line.close()
        self._web.stop()
        self._store.close()


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path)
    yield made
    made.close()


def test_no_rule_changes_nothing(server):
    answer = server.get(**SPAN)
    assert (answer.status, answer.read()) == (206, DATA[4096:8192])
    assert (answer.getheader("Connection"), answer.getheader("Content-Length")) == (None, "4096")


def test_range_is_ignored_as_often_as_said(server):
    server.rules(ignore_range={"times": 1})
    answer = server.get(**SPAN)
    assert (answer.status, answer.getheader("Content-Range")) == (200, None)
    assert answer.read() == DATA
    answer = server.get(**SPAN)
    assert (answer.status, answer.read()) == (206, DATA[4096:8192])


def test_body_comes_in_chunks_of_the_size_said(server):
    server.rules(chunk_body={"size": 1500})
    answer = server.get(**SPAN)
    assert answer.getheader("Transfer-Encoding") == "chunked"
    assert answer.getheader("Content-Length") is None
    assert answer.getheader("Content-Range") == "bytes 4096-8191/10000"
    assert answer.read() == DATA[4096:8192]
    answer = server.get()  # on the same connection
    assert answer.read() == DATA


def test_chunks_are_written_as_http_writes_them(server):
    server.rules(chunk_body={"size": 1500})
    host = urlsplit(server.endpoint).netloc
    path = server.url.removeprefix(server.endpoint)
    server.line.connect()
    server.line.sock.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nRange: bytes=0-1600\r\n\r\n".encode()
    )
    raw = b""
    while not raw.endswith(b"0\r\n\r\n"):
        raw += server.line.sock.recv(65_536)
    body = raw.partition(b"\r\n\r\n")[2]
    assert body == b"5dc\r\n%b\r\n65\r\n%b\r\n0\r\n\r\n" % (DATA[:1500], DATA[1500:1601])


def test_connection_is_closed_after_the_answer_and_it_says_so(server):
    server.rules(close_after={"times": 1})
    answer = server.get(**SPAN)
    assert answer.getheader("Connection") == "close"
    assert answer.read() == DATA[4096:8192]
    server.line.close()
    assert server.get(**SPAN).getheader("Connection") is None


def test_redirect_leads_to_the_same_file_once(server):
    server.rules(redirect={})
    answer = server.get(**SPAN)
    answer.read()
    location = answer.getheader("Location")
    assert (answer.status, location.startswith(server.endpoint + "/images/a?")) == (307, True)
    answer = server.get(location, **SPAN)
    assert (answer.status, answer.read()) == (206, DATA[4096:8192])


def test_redirect_again_is_of_what_was_redirected_to_alone(server):
    server.rules(redirect={}, redirect_again={"times": 2})
    url = ""
    for status in (307, 307, 307, 206):
        answer = server.get(url, **SPAN)
        answer.read()
        assert answer.status == status
        url = answer.getheader("Location")


def test_redirect_to_another_host_names_it(server):
    server.rules(redirect={"to": "http://example.com", "code": 302})
    answer = server.get()
    assert answer.status == 302
    assert answer.getheader("Location").startswith("http://example.com/images/a?")


def test_url_is_judged_later_as_often_as_said(server):
    server.rules(age_url={"s": LIFETIME_S, "times": 1})
    answer = server.get(**SPAN)
    assert (answer.status, b"Request has expired" in answer.read()) == (403, True)
    answer = server.get(**SPAN)
    assert (answer.status, answer.read()) == (206, DATA[4096:8192])
    server.rules(age_url={"s": LIFETIME_S - 10})
    assert server.get(**SPAN).status == 206


@pytest.mark.parametrize(("rule", "status"), [({}, 503), ({"code": 500}, 500)])
def test_request_fails_with_its_status(server, rule, status):
    server.rules(fail_http=rule)
    assert server.get().status == status


def test_range_is_told_one_byte_off(server):
    server.rules(shift_range={})
    answer = server.get(**SPAN)
    assert answer.getheader("Content-Range") == "bytes 4097-8192/10000"
    assert answer.read() == DATA[4096:8192]
    assert server.get().getheader("Content-Range") is None


@pytest.mark.parametrize(("rule", "count"), [({}, 2048), ({"after": 10}, 10), ({"after": 0}, 0)])
def test_body_is_cut_off(server, rule, count):
    server.rules(cut_body=rule)
    answer = server.get(**SPAN)
    assert answer.getheader("Content-Length") == "4096"
    with pytest.raises(http.client.IncompleteRead) as caught:
        answer.read()
    assert caught.value.partial == DATA[4096 : 4096 + count]


def test_faults_may_come_together(server):
    server.rules(chunk_body={}, close_after={}, ignore_range={})
    answer = server.get(**SPAN)
    assert (answer.status, answer.getheader("Connection")) == (200, "close")
    assert answer.read() == DATA


def test_rule_hits_only_the_path_it_names(server):
    server.rules(fail_http={"path": "/images/b"})
    assert server.get(**SPAN).status == 206


def test_clients_that_sign_in_a_header_are_left_alone(server):
    server.rules(fail_http={}, age_url={"s": 10**6}, redirect={})
    s3 = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}),
        aws_access_key_id=KEY.name,
        aws_secret_access_key=KEY.secret,
    )
    assert s3.get_object(Bucket="images", Key="a")["Body"].read() == DATA


def test_every_spoiling_fault_has_its_keys():
    assert set(SPOILT) <= set(KEYS)
    assert all("path" in KEYS[name] for name in SPOILT)
