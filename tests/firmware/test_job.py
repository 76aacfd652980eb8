"""Jobs and their documents: what is understood, and what is refused and why."""

import json

from doubles import raised

from sluice.errors import Refuse
from sluice.fields import field
from sluice.job import Job
from sluice.loading import plug_in
from sluice.plugins import DOCUMENTS

RECORDED = """{
  "afr_ota": {
    "protocols": ["MQTT"],
    "streamname": "AFR_OTA-ed09f158-b222-4669-b811-451e36868c9a",
    "files": [{
      "filepath": "/",
      "filesize": 60,
      "fileid": 0,
      "certfile": "/",
      "fileType": 0,
      "sig-sha256-ecdsa": "MEQCIHFpEmGCtxJ"
    }]
  }
}"""


def document(**changes):
    """The recorded document with its file changed; None takes a key away."""
    order = json.loads(RECORDED)
    file = order["afr_ota"]["files"][0]
    for key, value in changes.items():
        key = key.replace("_", "-") if key.startswith("sig") else key
        file[key] = value
        if value is None:
            del file[key]
    return order


def read(order):
    job = Job("j", 1, document=order)
    job.read()
    return job


def refusal(order):
    return str(raised(Refuse, read, order))


def test_afr_ota_recorded_document_is_understood():
    job = read(json.loads(RECORDED))
    (file,) = job.files
    assert job.kind == "image" and job.document is None
    assert (file.size, file.id, file.source) == (60, 0, "mqtt_stream")
    assert file.stream == "AFR_OTA-ed09f158-b222-4669-b811-451e36868c9a"
    assert (file.signature, file.algorithm, file.signer) == ("MEQCIHFpEmGCtxJ", "ecdsa", "/")


def test_afr_ota_rsa_signature_is_understood():
    file = read(document(sig_sha256_ecdsa=None, sig_sha256_rsa="AAAA")).files[0]
    assert (file.signature, file.algorithm) == ("AAAA", "rsa")


def test_afr_ota_sha1_signature_is_as_good_as_none():
    file = read(document(sig_sha256_ecdsa=None, sig_sha1_rsa="AAAA")).files[0]
    assert file.signature is None and file.algorithm is None


def test_afr_ota_what_may_be_absent_may_be_null_too():
    for value in (None, ""):
        order = document(certfile=value)
        assert read(order).files[0].signer is None
    order = document()
    order["afr_ota"]["files"][0]["certfile"] = None
    order["afr_ota"]["files"][0]["fileType"] = None
    assert read(order).files[0].signer is None


def test_afr_ota_file_that_misstates_something_is_refused_by_its_key():
    wrong = {
        "filesize": (None, 0, -1, "60", 60.5, True, 25_165_825, [60]),
        "fileid": (None, -1, 256, "0", False, {}),
        "fileType": (256, -1, "0", []),
        "certfile": (7, "x" * 1_025, ["/"]),
        "sig_sha256_ecdsa": (7, ["AAAA"], {"a": 1}, "A" * 1_025),
    }
    for key, values in wrong.items():
        for value in values:
            assert key.replace("_", "-") in refusal(document(**{key: value})), (key, value)


def several(*files):
    """The recorded document with that many files, each changed."""
    order = document()
    one = order["afr_ota"]["files"][0]
    order["afr_ota"]["files"] = [dict(one, fileid=n, **file) for n, file in enumerate(files)]
    return order


def test_afr_ota_file_of_another_type_goes_to_its_path_and_needs_no_image():
    job = read(
        several({"fileType": 1, "filepath": "data/a.bin"}, {"fileType": 9, "filepath": "/b"})
    )
    assert job.kind == "operation" and job.path == "sluice.files.place"
    assert [(file.path, file.id) for file in job.files] == [("/data/a.bin", 0), ("/b", 1)]


def test_afr_ota_image_stands_before_the_files_that_come_with_it():
    job = read(several({"fileType": 1, "filepath": "/a"}, {}))
    assert job.kind == "image"
    assert [(file.path, file.id) for file in job.files] == [(None, 1), ("/a", 0)]


def test_afr_ota_bundles_are_told_by_their_type_and_say_nothing_of_a_place():
    for kind, name in ((200, "app"), (201, "agent")):
        job = read(several({"fileType": kind, "filepath": "/main.py"}))
        assert (job.kind, job.path) == ("operation", "sluice.files.bundle")
        (file,) = job.files
        assert (file.kind, file.path, file.data) == (name, "/." + name, False)
        assert read(several({"fileType": kind})).files[0].path == "/." + name


def test_afr_ota_bundles_come_alone_or_with_an_image_behind_its_files():
    job = read(several({"fileType": 201}, {"fileType": 200}))
    assert [file.kind for file in job.files] == ["agent", "app"] and job.kind == "operation"
    job = read(several({"fileType": 200}, {"fileType": 1, "filepath": "/a"}, {}))
    assert (job.kind, [file.path for file in job.files]) == ("image", [None, "/a", "/.app"])
    job = read(several({"fileType": 200}, {}))
    assert (job.kind, [file.path for file in job.files]) == ("image", [None, "/.app"])


def test_afr_ota_bundles_that_do_not_go_together_are_refused():
    for kind in (200, 201):
        said = "two bundles of one kind"
        assert refusal(several({"fileType": kind}, {"fileType": kind})) == said
        said = "files and bundles without an image"
        assert refusal(several({"fileType": kind}, {"fileType": 1, "filepath": "/a"})) == said


DELTA = {"fileType": 202, "filepath": "/ota/" + "0a" * 32 + ".1468006"}
COMPRESSED = {"fileType": 203, "filepath": "/ota/compressed"}


def test_afr_ota_smaller_forms_belong_to_the_image_and_are_no_files_of_the_job():
    job = read(
        several({}, DELTA, {"fileType": 1, "filepath": "/a"}, COMPRESSED, {"fileType": 200})
    )
    assert job.kind == "image" and [file.path for file in job.files] == [None, "/a", "/.app"]
    delta, compressed = job.files[0].smaller
    assert delta.base == (1_468_006, "0a" * 32) and compressed.base is None
    assert delta.signature is None and (delta.id, compressed.id) == (1, 3)
    assert not any(file.smaller for file in job.files[1:])


def test_afr_ota_smaller_form_of_no_image_is_refused():
    for form in (DELTA, COMPRESSED):
        assert refusal(several(form)) == "a smaller image without the full one"
        assert refusal(several(form, {"fileType": 200})) == "a smaller image without the full one"


def test_afr_ota_delta_whose_path_names_no_image_is_refused():
    digest = "0a" * 32
    wrong = ["/a", "/ota/", "/ota/" + digest, "/oto/" + digest + ".1", "/ota/" + digest[1:] + ".1"]
    wrong += ["/ota/" + digest.upper() + ".1"]
    wrong += ["/ota/" + digest + end for end in (".", ".1x", ".-1", ".123456789")]
    for path in wrong:
        said = refusal(several({}, {"fileType": 202, "filepath": path}))
        assert said == "not the path of a delta " + path, path


def test_afr_ota_file_of_any_other_type_goes_to_its_path():
    for kind in (1, 199, 204, 255):
        assert read(several({"fileType": kind, "filepath": "/a"})).files[0].path == "/a"


def test_afr_ota_files_without_an_image_must_not_be_one_and_those_with_it_may():
    (file,) = read(several({"fileType": 1, "filepath": "/a"})).files
    assert file.data
    found = read(several({}, {"fileType": 1, "filepath": "/a"}))
    assert not any(file.data for file in found.files)


def test_afr_ota_of_two_images_is_refused():
    assert refusal(several({}, {})) == "more than one image"


def test_afr_ota_of_too_many_files_is_refused():
    files = [{"fileType": 1, "filepath": "/%d" % n} for n in range(11)]
    assert "files" in refusal(several(*files)) and len(read(several(*files[:10])).files) == 10


def test_afr_ota_file_without_a_path_of_its_own_is_refused():
    for path in (None, "", "/", "..", "a/", "/main.py", "a\n", "x" * 200, 7):
        assert refusal(several({"fileType": 1, "filepath": path})), path


def test_afr_ota_order_that_misstates_something_is_refused_by_its_key():
    wrong = {
        "protocols": (None, [], "MQTT", {}, ["MQTT"] * 9),
        "streamname": (None, "", 5, "s" * 129),
        "files": (None, [], {}, "files", [{}] * 11, [7], [None]),
    }
    for key, values in wrong.items():
        for value in values:
            order = document()
            order["afr_ota"][key] = value
            assert key in refusal(order), (key, value)


def test_afr_ota_without_a_protocol_of_ours_is_refused():
    order = document()
    order["afr_ota"]["protocols"] = ["CoAP"]
    assert refusal(order) == "neither mqtt nor http is offered"


def test_afr_ota_that_is_no_object_is_refused():
    for order in (None, [], "x", 5, True):
        assert "afr_ota" in refusal({"afr_ota": order})


def test_job_without_a_known_shape_is_refused():
    assert refusal({}) == "unknown job document"
    assert refusal({"dance": "slow"}) == "unknown job document"


def test_job_document_that_is_no_object_is_refused():
    assert refusal(None) == "job document is missing or too large"
    for order in ([], "x", 5, [{"afr_ota": {}}]):
        assert refusal(order) == "job document is not an object"


def test_job_is_the_same_only_as_one_execution():
    job = Job("j", 2, stamp=7)
    assert job.same(Job("j", 2, version=9, queued=False, stamp=7))
    for other in (Job("k", 2, stamp=7), Job("j", 1, stamp=7), Job("j", 2, stamp=8)):
        assert not job.same(other)


def test_job_shapes_each_have_a_module_that_reads():
    for key, name, path in DOCUMENTS:
        assert callable(plug_in(path, name)), key


def test_field_default_is_given_for_absent_and_null_only():
    assert field({}, "a", int, 0, 9, default=3) == 3
    assert field({"a": None}, "a", int, 0, 9, default=3) == 3
    assert field({"a": 0}, "a", int, 0, 9, default=3) == 0
    raised(Refuse, field, {"a": "0"}, "a", int, 0, 9, 3)


def test_field_bounds_are_those_of_a_number_or_a_length():
    assert field({"a": 9}, "a", int, 0, 9) == 9
    raised(Refuse, field, {"a": 10}, "a", int, 0, 9)
    assert field({"a": "abc"}, "a", str, 3, 3) == "abc"
    raised(Refuse, field, {"a": "abc"}, "a", str, 4, 9)
    assert field({"a": True}, "a", bool) is True
