"""Addresses in job documents: nRF's location, and afr_ota's update_data_url."""

from doubles import raised

from sluice.address import judge
from sluice.errors import Refuse
from sluice.job import File, Job

URL = "https://bucket.example/app.bin?X-Amz-Expires=60"


def document(**changes):
    """nRF's document, changed; None takes a key away."""
    order = {
        "operation": "app_fw_update",
        "fwversion": "v1.0.2",
        "size": 200_000,
        "location": {"protocol": "https:", "host": "bucket.example", "path": "app.bin"},
        "sig-sha256-ecdsa": "AAAA",
        "certfile": "signer.crt",
    }
    return {key: value for key, value in dict(order, **changes).items() if value is not None}


def afr(protocols, **changes):
    file = {"filesize": 60, "fileid": 0, "update_data_url": URL}
    file.update(changes)
    return {"afr_ota": {"protocols": protocols, "streamname": "s", "files": [file]}}


def read(order):
    job = Job("j", 1, document=order)
    job.read()
    return job


def refusal(order):
    return str(raised(Refuse, read, order))


# -- nRF's ---------------------------------------------------------------------------------------


def test_location_of_parts_is_understood():
    job = read(document())
    (file,) = job.files
    assert job.kind == "image" and file.source == "http_range"
    assert (file.url, file.size) == ("https://bucket.example/app.bin", 200_000)
    assert (file.signature, file.algorithm, file.signer) == ("AAAA", "ecdsa", "signer.crt")


def test_location_of_parts_may_have_slashes_and_colons_in_other_places():
    for scheme in ("http", "http:", "http://"):
        for path in ("a/b?c=/d", "/a/b?c=/d"):
            parts = {"protocol": scheme, "host": "h:8080", "path": path}
            assert read(document(location=parts)).files[0].url == "http://h:8080/a/b?c=/d"


def test_location_of_parts_without_a_protocol_is_https():
    file = read(document(location={"host": "bucket.example", "path": "/app.bin"})).files[0]
    assert file.url == "https://bucket.example/app.bin"


def test_location_with_an_address_is_understood():
    order = document(location={"url": URL, "host": 5})
    assert read(order).files[0].url == URL


def test_location_needs_no_operation_and_no_version():
    assert read(document(operation=None, fwversion=None)).files[0].size == 200_000


def test_location_of_another_operation_is_refused():
    assert refusal(document(operation="modem_fw_update")) == "unknown operation modem_fw_update"
    assert "operation" in refusal(document(operation=5))


def test_location_signatures_are_those_of_afr_ota_and_a_plain_one():
    order = document(signature="BBBB")
    del order["sig-sha256-ecdsa"]
    file = read(order).files[0]
    assert (file.signature, file.algorithm) == ("BBBB", "ecdsa")
    del order["signature"]
    order["sig-sha256-rsa"] = "CCCC"
    file = read(order).files[0]
    assert (file.signature, file.algorithm) == ("CCCC", "rsa")
    del order["sig-sha256-rsa"]
    assert read(order).files[0].signature is None


def test_location_that_misstates_something_is_refused_by_its_key():
    for size in (0, -1, "200000", 25_165_825, True, [1]):
        assert "size" in refusal(document(size=size)), size
    assert "size" in refusal(document(size=None))
    for location in ("x", [], 5):
        assert "location" in refusal(document(location=location)), location
    wrong = {
        "protocol": ("", 5, "h", "https://///"),
        "host": (None, "", 5, "h" * 256),
        "path": (None, "", 5, "p" * 2_049),
    }
    for key, values in wrong.items():
        for value in values:
            parts = {"protocol": "https:", "host": "h", "path": "p"}
            parts[key] = value
            assert key in refusal(document(location=parts)), (key, value)


def test_location_that_is_no_address_of_ours_is_refused():
    for url in ("", 5, "ftp://h/a", "://h/a", "/a", "http:/h/a", "http://h/a b",
                "http://h/\r\nX: y", "http://h/\u20ac", "http://h/" + "a" * 2_048):  # fmt: skip
        assert "url" in refusal(document(location={"url": url})), url
    parts = {"protocol": "https:", "host": "h\r\nX: y", "path": "p"}
    assert refusal(document(location=parts)) == "not an address of a file at url"
    parts = {"protocol": "coaps:", "host": "h", "path": "p"}
    assert refusal(document(location=parts)) == "not an address of a file at url"


# -- afr_ota -------------------------------------------------------------------------------------


def test_afr_ota_by_http_takes_the_address():
    order = afr(["HTTP"])
    del order["afr_ota"]["streamname"]
    (file,) = read(order).files
    assert (file.source, file.url, file.stream) == ("http_range", URL, None)


def test_afr_ota_by_both_prefers_the_stream_and_keeps_the_address():
    for protocols in (["MQTT", "HTTP"], ["HTTP", "MQTT"]):
        (file,) = read(afr(protocols)).files
        assert (file.source, file.url, file.stream) == ("mqtt_stream", URL, "s")
    assert read(afr(["MQTT", "HTTP"], update_data_url=None)).files[0].url is None


def test_afr_ota_by_mqtt_alone_ignores_the_address():
    assert read(afr(["MQTT"])).files[0].url is None


def test_afr_ota_by_http_without_an_address_is_refused():
    for url in (None, "", 5, "s3://bucket/key", "${aws:iot:s3-presigned-url:https://x/y}"):
        assert "update_data_url" in refusal(afr(["HTTP"], update_data_url=url)), url


def test_location_may_write_its_scheme_in_capitals():
    for url in ("HTTPS://h/A?B", "Https://h/A?B"):
        assert read(document(location={"url": url})).files[0].url == "https://h/A?B"


# -- where files may come from -------------------------------------------------------------------


def judged(url, hosts, source="http_range", protocol="mqtt"):
    """The file, after its address was judged."""
    file = File(1, source)
    file.url = url
    judge([file], {"protocol": protocol, "download_hosts": hosts})
    return file


def test_address_that_is_not_allowed_is_refused_without_its_query():
    for url, hosts, origin in (
        ("http://h/a?key", [], "http://h"),
        ("http://h:8080/a?key", ["http://h", "*:*"], "http://h:8080"),
        ("https://g/a?key", ["h"], "https://g"),
        ("https://h:1/a?key", ["h"], "https://h:1"),
    ):
        error = raised(Refuse, judged, url, hosts)
        assert str(error) == "not in download_hosts: " + origin
    error = raised(Refuse, judged, "https://h:70000/a?key", [])
    assert str(error) == "not an address of a file: port"
    judged("https://h:8443/a", [])
    judged("http://h/a", ["http://h"])


def test_address_that_is_not_asked_is_not_judged():
    file = judged("http://h/a", [], "mqtt_stream")
    assert file.source == "mqtt_stream"


def test_config_may_prefer_http_where_a_document_offers_it_too():
    assert judged("https://h/a", [], "mqtt_stream", "http").source == "http_range"
    raised(Refuse, judged, "http://h/a", [], "mqtt_stream", "http")
