"""The configuration: defaults, bounds, and errors that name the key."""

import json
import os
from binascii import hexlify

from doubles import raised

import config
from config import ConfigError

LEAST = {"thing": "t", "endpoint": "e", "ca": "/ca", "certificate": "/c", "private_key": "/k"}


def values(**changes):
    found = dict(LEAST)
    found.update(changes)
    return found


def complaint(**changes):
    return str(raised(ConfigError, config.check, values(**changes)))


def load(text):
    path = "/tmp/sluice-config-" + hexlify(os.urandom(8)).decode()
    with open(path, "wb") as file:
        file.write(text)
    try:
        return config.load(path)
    finally:
        os.remove(path)


def test_config_with_the_required_keys_has_the_defaults():
    found = load(json.dumps(LEAST).encode())
    assert found["port"] == 8883 and found["block"] == 4096 and found["dialect"] == "aws_jobs"
    for flag in ("allow_unsigned", "allow_same_version", "allow_downgrade"):
        assert found[flag] is False


def test_config_defaults_are_not_shared():
    first = config.check(values())
    first["signers"].append("/x")
    first["wifi"]["ssid"] = "x"
    second = config.check(values())
    assert second["signers"] == [] and second["wifi"] == {}


def test_config_defaults_are_within_their_own_bounds():
    for key, (default, low, high) in config.OPTIONAL.items():
        size = default if isinstance(default, (int, bool)) else len(default)
        assert low <= size <= high, key


def test_config_null_is_as_good_as_absent():
    assert config.check(values(port=None, wifi=None))["port"] == 8883


def test_config_version_is_told_by_the_key_of_whoever_asks_for_it():
    key = lambda **changes: config.check(values(**changes))["report_version"]  # noqa: E731
    assert key() == key(report_version=None) == "nrf_cloud_app_fw_version"
    assert key(shadow="classic") == "version"
    assert key(dialect="product") == ""
    assert key(report_version="") == key(report_version="", shadow="classic") == ""
    assert key(report_version="fw", shadow="site", dialect="product") == "fw"


def test_config_that_lacks_a_key_says_which():
    for key in config.REQUIRED:
        for wrong in (None, "", 5, [], "x" * 256):
            assert complaint(**{key: wrong}) == "config lacks " + key


def test_config_thing_name_is_of_awss_alphabet():
    for name in ("a", "Az09:_-", "x" * 128):
        assert config.check(values(thing=name))["thing"] == name
    for name in ("x" * 129, "a/b", "a+", "#", "a b", "ümlaut", "a$"):
        assert "thing" in complaint(thing=name)


def test_config_values_of_the_wrong_type_or_out_of_bounds_say_which():
    wrong = {
        "port": (0, 65_536, "8883", True, 1.5),
        "signers": ("/s", {}, [1], [""], ["a"] * 9),
        "wifi": ([], "ssid", {"ssid": 5}, {"ssid": "x", "password": ["y"]}),
        "ntp": ("pool", [None], [5]),
        "block": (255, 98_305, 300, 5_000, 4_097, "4096"),
        "window": (0, 513),
        "stream_format": ("", "xml", "CBOR", 5),
        "keepalive_s": (29, 1_201),
        "allow_unsigned": (0, 1, "yes"),
        "watchdog_s": (-1, 3601),
        "log": ("", "X", "II", 5, "i"),
        "dialect": ("", "aws", 5),
    }
    for key, several in wrong.items():
        for value in several:
            assert complaint(**{key: value}).startswith("config: " + key), (key, value)


def test_config_block_of_every_size_that_fits_is_taken():
    for block in (256, 512, 1_024, 2_048, 4_096, 8_192, 12_288, 98_304):
        assert config.check(values(block=block))["block"] == block


def test_config_block_over_what_base64_leaves_room_for_is_for_cbor_only():
    for block in (98_304, 102_400, 126_976, 131_072):
        found = config.check(values(block=block, stream_format="cbor"))
        assert (found["block"], found["stream_format"]) == (block, "cbor")
    for block in (102_400, 131_072):
        assert "over 98304" in complaint(block=block)
    for block in (131_073, 135_168, 300):
        assert "block" in complaint(block=block, stream_format="cbor")


def test_config_keys_that_are_not_ours_are_kept():
    assert config.check(values(sensor={"pin": 4}))["sensor"] == {"pin": 4}


def test_config_that_is_no_json_object_says_so():
    for text in (b"", b"\xff\xfe", b"{'a': 1}", b"{} x"):
        assert str(raised(ConfigError, load, text)).endswith("is not JSON"), text
    for text in (b"[]", b"null", b"5"):
        assert str(raised(ConfigError, load, text)).endswith("is not a JSON object"), text


def test_config_that_is_cut_off_says_so():
    text = json.dumps(values(wifi={}, signers=["/s"])).encode()
    for size in range(1, len(text)):
        assert " is not JSON" in str(raised(ConfigError, load, text[:size])), text[:size]
    assert load(text + b"\r\n")["thing"] == "t"


def test_config_that_is_absent_says_so():
    assert (
        str(raised(ConfigError, config.load, "/nowhere/config.json")) == "no /nowhere/config.json"
    )


def test_config_that_names_no_host_is_refused():
    for key, text, why in (
        ("endpoint", "https://h", "port"), ("endpoint", "h:8883", "port"),
        ("endpoint", "h h", "host"),
        ("endpoint", "::1", "IPv6 is not supported"), ("endpoint", "h:70000", "port"),
        ("endpoint", "u@h", "user name"), ("endpoint", "h\n", "host"), ("endpoint", "h/a", "host"),
        ("ntp", "h:65536", "port"), ("ntp", "h:0", "port"), ("ntp", "h:ntp", "port"),
        ("ntp", "h:-1", "port"), ("ntp", "[::1]:123", "IPv6 is not supported"),
        ("ntp", " h", "host"),
        ("ntp", ":123", "host"), ("ntp", "h:", "port"), ("ntp", "h:99999999999", "port"),
        ("download_hosts", "ftp://h", "scheme"), ("download_hosts", "http://*", "host"),
        ("download_hosts", "h:65536", "port"), ("download_hosts", "h/a", "host"),
    ):  # fmt: skip
        value = text if key == "endpoint" else ["good", text]
        said = complaint(**{key: value})
        assert said == "config: %s %s: %s" % (key, text, why), said
    config.check(
        values(endpoint="a1-ats.iot.eu-west-1.amazonaws.com", ntp=["10.0.0.1:65535", "t"])
    )
    config.check(values(download_hosts=["*:*", "http://10.0.0.5:8080", "*.s3.amazonaws.com"]))
    assert "download_hosts is out of bounds" in complaint(download_hosts=["h"] * 17)
    assert "download_hosts is no list of texts" in complaint(download_hosts=[5])


def test_config_of_settings_that_are_strange_is_as_configured():
    """What /settings.json holds cannot keep a board from starting, nor fill its heap."""
    for kept, level in (
        (b'{"log": "D"}', "D"), (b'{"log": 5}', "I"), (b'{"log": ["D"]}', "I"), (b"[1]", "I"),
        (b'{"log": "D", "thing": {}}', "D"), (b"\xff\xfe", "I"), (b'{"block": true}', "I"),
        (b'{"log": "D"}' + b" " * 100_000, "I"), (b'{"log": null, "window": []}', "I"),
    ):  # fmt: skip
        stem = "/tmp/sluice-settings-" + hexlify(os.urandom(8)).decode()
        try:
            with open(stem + ".config", "w") as file:
                json.dump(values(shadow="classic"), file)
            with open(stem, "wb") as file:
                file.write(kept)
            assert config.load(stem + ".config", stem)["log"] == level, kept[:40]
        finally:
            os.remove(stem)
            os.remove(stem + ".config")


def test_config_of_settings_that_are_too_large_is_not_read():
    def read(path):
        raise AssertionError("read")

    stem = "/tmp/sluice-settings-" + hexlify(os.urandom(8)).decode()
    with open(stem, "wb") as file:
        file.write(b" " * 600)
    whole, config._read = config._read, read
    try:
        assert config._kept(stem) == {}
    finally:
        config._read = whole
        os.remove(stem)
