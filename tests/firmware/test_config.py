"""The configuration: defaults, bounds, and errors that name the key."""

import json
import os
from binascii import hexlify

from doubles import raised

from sluice import config
from sluice.config import ConfigError

LEAST = {"thing": "t", "endpoint": "e", "ca": "/ca", "certificate": "/c", "private_key": "/k"}


def values(**changes):
    found = dict(LEAST)
    found.update(changes)
    return found


def check(values):
    """Both parts; the first thing that is misstated is raised."""
    found, told = config.linking(values), []
    found.update(config.others(values, {}, told.append))
    if told:
        raise told[0]
    return found


def complaint(**changes):
    return str(raised(ConfigError, check, values(**changes)))


def load(text):
    path = "/tmp/sluice-config-" + hexlify(os.urandom(8)).decode()
    with open(path, "wb") as file:
        file.write(text)
    try:
        return check(config.read(path))
    finally:
        os.remove(path)


def test_config_with_the_required_keys_has_the_defaults():
    found = load(json.dumps(LEAST).encode())
    assert found["port"] == 8883 and found["block"] == 4096 and found["dialect"] == "aws_jobs"
    for flag in ("allow_unsigned", "allow_same_version", "allow_downgrade"):
        assert found[flag] is False


def test_config_defaults_are_not_shared():
    first = check(values())
    first["signers"].append("/x")
    first["wifi"]["ssid"] = "x"
    second = check(values())
    assert second["signers"] == [] and second["wifi"] == {}


def test_config_defaults_are_within_their_own_bounds():
    for key, (default, low, high) in config.OPTIONAL.items():
        size = default if isinstance(default, (int, bool)) else len(default)
        assert low <= size <= high, key


def test_config_null_is_as_good_as_absent():
    assert check(values(port=None, wifi=None))["port"] == 8883


def test_config_version_is_told_by_the_key_of_whoever_asks_for_it():
    key = lambda **changes: check(values(**changes))["report_version"]  # noqa: E731
    assert key() == key(report_version=None) == "nrf_cloud_app_fw_version"
    assert key(shadow=False) == key(shadow="") == "nrf_cloud_app_fw_version"
    assert key(shadow="classic") == "version"
    assert key(dialect="product") == ""
    assert key(report_version="") == key(report_version="", shadow="classic") == ""
    assert key(report_version="fw", shadow="site", dialect="product") == "fw"


def test_config_shadow_is_the_classic_one_unless_it_is_turned_off():
    shadow = lambda **changes: check(values(**changes))["shadow"]  # noqa: E731
    assert shadow() == shadow(shadow=None) == shadow(report_version="fw") == "classic"
    assert shadow(shadow=False) == shadow(shadow="") == ""
    assert shadow(shadow="site") == "site"
    for dialect in ("aws_jobs", "product"):  # noted so before there was a default
        again = config.others(check(values(shadow=False, dialect=dialect)), {}, None)
        assert again["shadow"] == ""


def test_config_shadow_is_off_where_nobody_can_want_it():
    """With a platform that has none, and where the version is to be told to nobody."""
    shadow = lambda **changes: check(values(**changes))["shadow"]  # noqa: E731
    assert shadow(dialect="product") == shadow(report_version="") == ""
    assert shadow(dialect="product", shadow="site") == "site"
    assert shadow(report_version="", shadow="classic") == "classic"


def test_config_shadow_that_is_true_or_a_number_is_misstated():
    for wrong in (True, 0, 1, ["classic"]):
        assert complaint(shadow=wrong) == "config: shadow is not of type str"


def test_config_that_lacks_a_key_says_which():
    for key in config.REQUIRED:
        for wrong in (None, "", 5, [], "x" * 256):
            assert complaint(**{key: wrong}) == "config lacks " + key


def test_config_thing_name_is_of_awss_alphabet():
    for name in ("a", "Az09:_-", "x" * 128):
        assert check(values(thing=name))["thing"] == name
    for name in ("x" * 129, "a/b", "a+", "#", "a b", "ümlaut", "a$"):
        assert "thing" in complaint(thing=name)


def test_config_values_of_the_wrong_type_or_out_of_bounds_say_which():
    wrong = {
        "port": (0, 65_536, "8883", True, 1.5),
        "signers": ("/s", {}, [1], [""], ["a"] * 9),
        "wifi": ([], "ssid", {"ssid": 5}, {"ssid": "x", "password": ["y"]}),
        "ntp": ("pool", [None], [5]),
        "block": (255, 98_305, 300, 5_000, 4_097, "4096"),
        "window": (0, 4_095, 524_289),
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


def test_config_window_of_before_which_counted_blocks_is_told_and_replaced():
    for old in (1, 8, 512):
        told = []
        found = config.others(values(window=old), {"window": old}, told.append)
        assert found["window"] == 262_144
        assert str(told[0]) == "config: window is out of bounds (4096 to 524288)"
        settings = config.others(values(), {}, None)
        refused, force = config.adopt(settings, {"window": old}, "/nowhere/settings.json")
        assert refused == ["window is out of bounds (4096 to 524288)"]
        assert force["window"] == 262_144


def test_config_block_of_every_size_that_fits_is_taken():
    for block in (256, 512, 1_024, 2_048, 4_096, 8_192, 12_288, 98_304):
        assert check(values(block=block))["block"] == block


def test_config_block_over_what_base64_leaves_room_for_is_for_cbor_only():
    for block in (98_304, 102_400, 126_976, 131_072):
        found = check(values(block=block, stream_format="cbor"))
        assert (found["block"], found["stream_format"]) == (block, "cbor")
    for block in (102_400, 131_072):
        assert "over 98304" in complaint(block=block)
    for block in (131_073, 135_168, 300):
        assert "block" in complaint(block=block, stream_format="cbor")


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
        str(raised(ConfigError, config.read, "/nowhere/config.json")) == "no /nowhere/config.json"
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
    check(values(endpoint="a1-ats.iot.eu-west-1.amazonaws.com", ntp=["10.0.0.1:65535", "t"]))
    check(values(download_hosts=["*:*", "http://10.0.0.5:8080", "*.s3.amazonaws.com"]))
    assert "download_hosts is out of bounds" in complaint(download_hosts=["h"] * 17)
    assert "download_hosts is no list of texts" in complaint(download_hosts=[5])


def test_config_of_settings_that_are_strange_is_as_configured():
    """What /settings.json holds cannot keep a board from starting, nor fill its heap."""
    for kept, level in (
        (b'{"log": "D"}', "D"), (b'{"log": 5}', "I"), (b'{"log": ["D"]}', "I"), (b"[1]", "I"),
        (b'{"log": "D", "thing": {}}', "D"), (b"\xff\xfe", "I"), (b'{"block": true}', "I"),
        (b'{"log": "D"}' + b" " * 100_000, "I"), (b'{"log": null, "window": []}', "I"),
    ):  # fmt: skip
        path = "/tmp/sluice-settings-" + hexlify(os.urandom(8)).decode()
        found = check(values(shadow="classic"))
        try:
            with open(path, "wb") as file:
                file.write(kept)
            config.changed(found, path)
            assert found["log"] == level, kept[:40]
        finally:
            os.remove(path)


def test_config_of_settings_that_are_too_large_is_not_read():
    def read(path):
        raise AssertionError("read")

    stem = "/tmp/sluice-settings-" + hexlify(os.urandom(8)).decode()
    with open(stem, "wb") as file:
        file.write(b" " * 600)
    whole, config.read = config.read, read
    try:
        assert config._kept(stem) == {}
    finally:
        config.read = whole
        os.remove(stem)


def test_config_too_large_or_too_deep_says_so():
    assert str(raised(ConfigError, load, b" " * 16_385)).endswith(" is too large")
    for text in (b"[" * 10_000, b'{"a":' * 3_000):
        assert str(raised(ConfigError, load, text)).endswith((" is not JSON", " is too large"))


def test_config_linking_part_has_what_linking_needs_and_nothing_else():
    found = config.linking(values(signers=["/s"], block=300, wifi={"ssid": "x"}))
    assert found == {
        "thing": "t", "endpoint": "e", "files": ["/ca", "/c", "/k"], "port": 8883, "kept": False,
        "wifi": {"ssid": "x"}, "ntp": ["pool.ntp.org", "time.cloudflare.com"],
    }  # fmt: skip


def test_config_others_that_are_misstated_are_told_and_replaced_by_what_was_kept():
    told = []
    kept = config.others(
        values(signers=["/old"], block=512, allow_downgrade=True), {}, told.append
    )
    assert not told
    found = config.others(
        values(signers="/new", block=300, log="X", allow_downgrade=False), kept, told.append
    )
    assert (found["signers"], found["block"], found["log"]) == (["/old"], 512, "I")
    assert found["allow_downgrade"] is False
    words = " ".join([str(text) for text in told])
    assert len(told) == 3 and "signers" in words and "block" in words and "log" in words


def test_config_others_trust_nobody_where_nothing_can_be_read():
    told = []
    for kept in ({}, {"signers": 5, "allow_unsigned": "yes", "block": [], "devices": {"a": 1}}):
        found = config.others(values(signers=5, allow_unsigned="yes"), kept, told.append)
        assert found["signers"] == [] and found["allow_unsigned"] is False, kept
        assert config.others(kept, {}, told.append)["allow_unsigned"] is False


def test_config_others_that_contradict_each_other_are_replaced_together():
    told = []
    kept = config.others(values(block=1024), {}, told.append)
    found = config.others(values(block=131_072, devices={"a": 5}), kept, told.append)
    assert (found["block"], found["devices"]) == (1024, {}) and len(told) == 2
