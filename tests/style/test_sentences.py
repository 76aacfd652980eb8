"""Pages are written in short sentences: none has over 30 words."""

import pytest
from sentences import LONGEST, sentences, too_long

from sluice.compile import FIRMWARE, ROOT

PAGES = [
    file for name in ("README", "CONTRIBUTING", "CHANGELOG") for file in ROOT.glob(f"{name}.md")
]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
PAGES += [*sorted((ROOT / "boards").rglob("*.md")), FIRMWARE / "DESIGN.md"]


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_page_has_no_sentence_that_is_too_long(file):
    place = file.relative_to(ROOT).as_posix()
    found = [
        f"{place}:{one.line}: {one.words} words: {one.text}" for one in too_long(file.read_text())
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("page", "counted"),
    [
        ("One two. Three four five!\n", [2, 3]),
        ("A line\nthat goes on. `sluice deploy --wait` is one word.\n", [5, 4]),
        ("- one two\n- three\n  four\n", [2, 2]),
        ("1. one two\n2. three\n", [2, 1]),
        ("| a b | c |\n|---|---|\n| d e f. G h | i |\n", [2, 1, 3, 2, 1]),
        ("# A heading\n\nText.\n", [1]),
        ("Before:\n\n```sh\nnot a sentence\n```\n\nafter.\n", [1, 1]),
        ("[two words](https://a.b/c_d) here – and <!-- not\nthis --> there.\n", [5]),
        ("> A box.\n> It goes on\n> here.\n>\n> - an item\n", [2, 4, 2]),
        ("Calls are `a`, `b`,\n`c` and `d` there.\n", [4]),
        ("Version 1.2.0 of app.py runs.\n", [5]),
    ],
)
def test_words_are_counted_by_sentence(page, counted):
    found = [one.words for one in sentences(page)]
    assert [count for count in found if count] == counted


def test_sentence_that_is_too_long_is_found_with_its_line():
    long = " ".join(["word"] * (LONGEST + 1))
    (found,) = too_long(f"Short.\n\n- short\n- {long}.\n")
    assert (found.line, found.words) == (4, LONGEST + 1)
    assert not too_long(" ".join(["word"] * LONGEST))
