"""What the demo shows, in a narrow terminal, without colours, and in a pipe."""

import io
import re

import pytest

from sluice.commands.story import Story
from sluice.terminal import console

LINES = (
    "boot: ota_0 1.0.0 new-board",
    "I 12 main agent 0.2.0 app 1.0.0 agent.a+app.a",
    "I 99 agent job AFR_OTA-sluice-91a002c453dc",
    "I 100 update open 1468006 has 0 into ota_1",
    "I 200 update progress 1468006 1468006 free 66768",
    "I 201 agent DOWNLOADING complete 1468006",
    "W 300 agent sick self-test failed because of a sensor that has not answered in time",
)
CODES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
COLOURS = re.compile(r"\x1b\[[0-9;]*3\d[0-9;]*m")


def told(width: int, **more: bool) -> str:
    """All of it, as the terminal's bytes."""
    screen = io.StringIO()
    story = Story(console(markup=True, file=screen, width=width, **more))
    story.title("Version 1.1.0: a good image, and what more there is to say of it in a title")
    for line in LINES:
        story.hear(line)
    story.close()
    return screen.getvalue()


@pytest.mark.parametrize("width", [60, 120])
def test_no_line_is_wider_than_the_terminal(width):
    shown = CODES.sub("", told(width, force_terminal=True)).replace("\r", "\n").splitlines()
    assert max(len(line.rstrip()) for line in shown) <= width
    text = "\n".join(line.rstrip() for line in shown)
    assert "359/359 blocks" in text and "KiB/s" in text and "…" not in text
    assert ("heap 65.2 KiB free" in text) == (width == 120)
    below = [line for line in shown if line.startswith(13 * " ") and line.strip()]
    assert bool(below) == (width == 60)


def test_without_colours_nothing_has_one(monkeypatch):
    coloured = told(60, force_terminal=True)
    monkeypatch.setenv("NO_COLOR", "1")
    bare = told(60, force_terminal=True)
    assert COLOURS.search(coloured) and not COLOURS.search(bare)
    rate = re.compile(r"[\d,]+ KiB/s")
    last = [rate.sub("", CODES.sub("", text)).splitlines()[-3:] for text in (coloured, bare)]
    assert last[0] == last[1]


def test_in_a_pipe_each_event_is_one_line_without_codes():
    shown = told(60, force_terminal=False)
    assert "\x1b" not in shown
    assert (
        "board        self-test failed because of a sensor that has not answered in time: "
        "left unconfirmed\n"
    ) in shown
    assert "heap 65.2 KiB free" in shown


def test_what_looks_like_an_emoji_or_a_field_is_shown_as_it_is():
    screen = io.StringIO()
    story = Story(console(markup=True, file=screen, width=120, force_terminal=True))
    story.hear("I 100 update open 1468006 has 0 into :car:{0}")
    story.hear("E 301 main stopped at 24:0a:c4:ab:12:34")
    story.close()
    assert ":car:{0}" in screen.getvalue() and "24:0a:c4:ab:12:34" in screen.getvalue()
