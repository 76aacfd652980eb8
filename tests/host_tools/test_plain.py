"""Compressed W800 images: what is inside is shown, signed and sent, if it is whole."""

import json
import lzma
import struct
from pathlib import Path

import pytest
from wrapped import packed

from sluice import cli
from sluice.errors import SluiceError
from sluice.image import make_image
from sluice.image.plain import plain_file, plain_image
from sluice.image.w800 import HEADER, USER, XZ, crc, header
from sluice.signing import load_key, sign_base64

PLAIN = make_image("1.2.3", 20_000, chip="w800", modules={})
CHECKED = 60  # bytes of a header that its own CRC is over


def with_crc(image: bytes, at: int, content: bytes) -> bytes:
    """Changed in its header, which is made right again."""
    head = image[:at] + content + image[at + len(content) : CHECKED]
    return head + struct.pack("<I", crc(head)) + image[HEADER:]


def test_plain_image_is_what_a_compressed_one_holds():
    assert plain_image(packed(PLAIN)) == PLAIN


@pytest.mark.parametrize(
    "data", [PLAIN, b"", b"\x9f\xff\xff\xa0", make_image("1", modules={}), b"text" * 40]
)
def test_any_other_file_is_what_it_was(data):
    assert plain_image(data) is data


BOOT_LOADER = with_crc(PLAIN, 4, struct.pack("<I", 0))
BAD = {
    "cut_short": (packed(PLAIN)[:-100], "truncated"),
    "header": (packed(PLAIN)[:33] + b"x" + packed(PLAIN)[34:], "the header's CRC is wrong"),
    "body": (packed(PLAIN)[:-9] + b"x" + packed(PLAIN)[-8:], "the body's CRC is wrong"),
    "not_xz": (header("1", b"none" * 9, XZ | USER) + b"none" * 9, "its xz is bad"),
    "half": (header("1", b"\xfd7zXZ\0", XZ | USER) + b"\xfd7zXZ\0", "its xz is cut short"),
    "two": (packed(PLAIN, more=lzma.compress(PLAIN)), "more in it than one image"),
    "too_large": (packed(bytes(4 * 1024 * 1024 + 1)), "too large"),
    "other_type": (packed(PLAIN, attributes=XZ), "attributes 0x100000"),
    "inner_cut": (packed(PLAIN[:-100]), "the image inside is bad: truncated"),
    "inner_crc": (packed(PLAIN[:-100] + bytes(100)), "inside is bad: the body's CRC"),
    "boot_loader": (packed(BOOT_LOADER), "inside is bad: attributes 0x0"),
    "twice": (packed(packed(PLAIN)), "inside is bad: attributes 0x100001"),
}


@pytest.mark.parametrize("fault", BAD)
def test_compressed_image_that_is_not_whole_or_no_plain_one_is_refused(fault):
    data, reason = BAD[fault]
    with pytest.raises(SluiceError, match=f"compressed image is bad.*{reason}"):
        plain_image(data)


def test_commands_take_the_image_inside(tmp_path: Path, capsys):
    file, out, key = tmp_path / "x_ota.img", tmp_path / "sealed.img", tmp_path / "k.key"
    file.write_bytes(packed(PLAIN))
    assert cli.main(["image", "show", str(file), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["version"], shown["size"]) == ("1.2.3", len(PLAIN))
    assert shown["packed"] == file.stat().st_size
    words = ["sign", str(file), "--key", str(key), "--new-key", "--embed", str(out)]
    assert cli.main(words) == 0
    said = capsys.readouterr()
    assert len(said.out.strip()) > 80 and "taken is the image inside, 20,000 bytes" in said.err
    assert out.read_bytes().startswith(PLAIN)
    with plain_file(file) as inside:
        assert inside.name == file.name and inside.read_bytes() == PLAIN
        assert sign_base64(inside, load_key(key))
    assert not inside.exists()
