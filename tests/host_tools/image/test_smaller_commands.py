"""`sluice image delta`, `compress` and `show` of both."""

import json
import os
import pty
import random
import subprocess
import sys
from pathlib import Path

import pytest
from patience import FUSE_S
from typed import complaint, good, sluice
from wrapped import packed

from sluice.image import make_image, pack_image, smaller

PLAIN = make_image("1.2.3", 20_000, chip="w800", modules={})
CONTENT = random.Random(7).randbytes(30_000)
OLD = pack_image("1.0.0", {"app.mpy": CONTENT})
NEW = pack_image("1.1.0", {"app.mpy": CONTENT[:9_000] + b"another function" + CONTENT[9_000:]})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """With an older image, a newer one, and one for another chip."""
    (tmp_path / "old.bin").write_bytes(OLD)
    (tmp_path / "new.bin").write_bytes(NEW)
    (tmp_path / "s3.bin").write_bytes(pack_image("1.0.0", {"app.mpy": CONTENT}, chip="esp32s3"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_delta_makes_the_new_image_and_tells_how_small_it_is(folder: Path):
    line = good("image", "delta", "new.bin", "--from", "old.bin", "out")
    made = (folder / "out").read_bytes()
    assert smaller.applied(made, OLD) == NEW
    share = 100 * len(made) / len(NEW)
    size = f"{len(made):,} bytes, {share:.1f} % of the image's {len(NEW):,}"
    assert line == f"out: delta from old.bin, {size}\n"
    assert share < 5


def test_compressed_image_makes_it_from_nothing(folder: Path):
    line = good("image", "compress", "new.bin", "out")
    made = (folder / "out").read_bytes()
    assert smaller.applied(made) == NEW
    assert line.startswith(f"out: compressed, {len(made):,} bytes, ")


def test_show_tells_what_a_container_makes_and_of_what(folder: Path):
    good("image", "delta", "new.bin", "--from", "old.bin", "out")
    found, stated = (
        json.loads(good("image", "show", "out", "--json")),
        smaller.read((folder / "out").read_bytes()),
    )
    assert (found["kind"], found["size"]) == ("delta", stated.size)
    assert found["ratio"] == round(stated.size / len(NEW), 4)
    assert found["image"] == {"size": len(NEW), "sha256": stated.digest}
    assert found["source"] == {"size": len(OLD), "sha256": stated.source}
    assert (found["window"], found["sectors"]) == (1024, len(stated.pieces))
    assert found["piece"]["longest"] == max(stated.pieces)
    assert found["piece"]["median"] in stated.pieces or len(stated.pieces) % 2 == 0
    text = good("image", "show", "out")
    assert text.startswith("kind     delta\n")
    assert f"\nsource   {len(OLD):,} bytes, SHA-256 {stated.source}\n" in text
    good("image", "compress", "new.bin", "other")
    assert json.loads(good("image", "show", "other", "--json"))["source"] is None
    assert "source" not in good("image", "show", "other")


def test_compressed_image_of_the_vendor_is_taken_plain(folder: Path):
    (folder / "w.img").write_bytes(packed(PLAIN))
    older = pack_image("1.2.2", {"app.mpy": CONTENT}, chip="w800")
    (folder / "older.img").write_bytes(packed(older))
    good("image", "delta", "w.img", "--from", "older.img", "out")
    assert smaller.applied((folder / "out").read_bytes(), older) == PLAIN
    good("image", "compress", "w.img", "out")
    assert smaller.applied((folder / "out").read_bytes()) == PLAIN


# fmt: off
REFUSED = [
    (("delta", "new.bin", "--from", "s3.bin", "out"), "new.bin is for esp32, and s3.bin for"),
    (("delta", "cut.bin", "--from", "old.bin", "out"), "cut.bin: the image is bad: truncated"),
    (("delta", "new.bin", "--from", "cut.bin", "out"), "cut.bin: the image is bad: truncated"),
    (("delta", "new.bin", "--from", "none", "out"), "cannot read the image none: No such file"),
    (("delta", "new.bin", "--from", "old.bin", "no/out"), "cannot write no/out: No such file"),
    (("compress", "text", "out"), "text: not an app image: the first byte is 0x62"),
    (("compress", "delta", "out"), "delta: it is a delta or a compressed image: give"),
    (("compress", "none", "out"), "cannot read the image none: No such file"),
    (("show", "short"), "short: the container is not as long as its index says"),
    (("show", "head"), "head: this is no delta and no compressed image"),
]
# fmt: on


@pytest.mark.parametrize(("words", "said"), REFUSED)
def test_what_is_of_no_use_is_refused_in_one_line(folder: Path, words, said):
    made = smaller.delta(NEW, OLD)
    (folder / "cut.bin").write_bytes(NEW[:9_000])
    (folder / "text").write_bytes(b"bytes" * 100)
    (folder / "delta").write_bytes(made)
    (folder / "short").write_bytes(made[:-1])
    (folder / "head").write_bytes(made[:70])
    assert said in complaint("image", *words)
    assert not (folder / "out").exists()


def test_delta_without_an_older_image_or_a_place_is_wrong_usage(folder: Path):
    for words in (("new.bin", "out"), ("new.bin", "--from", "old.bin")):
        assert sluice("image", "delta", *words).returncode == 2


def test_progress_is_for_a_terminal_only(folder: Path):
    words = [sys.executable, "-m", "sluice.cli", "image", "compress", "new.bin", "out"]
    looks = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    ours, its = pty.openpty()
    done = subprocess.run(
        words, stdout=subprocess.PIPE, stderr=its, env=looks, text=True, timeout=FUSE_S
    )
    os.close(its)
    assert done.stdout.startswith("out: compressed, ")
    assert b"100%" in os.read(ours, 65_536)
    os.close(ours)
    done = subprocess.run(words, capture_output=True, env=looks, text=True, timeout=FUSE_S)
    assert (done.stdout[:17], done.stderr) == ("out: compressed, ", "")
