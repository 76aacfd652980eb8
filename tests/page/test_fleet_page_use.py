"""The page in a real browser: everybody can use it, by keyboard, narrow, and without motion."""

import time

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import NARROW, ROUTES, WIDE, go, opened
from page_scene import LOG, ROLLOUT
from patience import FUSE_S
from playwright.sync_api import expect

MOVING = """() => {
  const [moving, still] = [new Set(), new Set()];
  for (const rule of document.styleSheets[0].cssRules) {
    if (rule.media?.mediaText.includes("reduced-motion")) {
      for (const one of rule.cssRules) still.add(one.selectorText);
    } else if (rule.style?.transition) {
      moving.add("*" + (/::.*/.exec(rule.selectorText) ?? [""])[0]);
    }
  }
  return [...moving].filter((one) => !still.has(one) && !still.has(one.slice(1)));
}"""


def test_nothing_moves_for_who_wants_less_motion(browser, fleet):
    """A part that only the browser makes, like that of a bar, is not meant by `*`."""
    with opened(browser, fleet.address) as tab:
        assert tab.evaluate(MOVING) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_axe_finds_nothing_to_complain_of(browser, fleet, scheme, width):
    with opened(browser, fleet.address, width, scheme) as tab:
        found = {}
        for name, where in ROUTES.items():
            go(tab, *where)
            found[name] = Axe().run(tab).response["violations"]
    assert not any(found.values()), found


@pytest.mark.parametrize("name", ROUTES)
def test_narrow_page_does_not_scroll_sideways(browser, fleet, name):
    with opened(browser, fleet.address, NARROW) as tab:
        go(tab, *ROUTES[name])
        assert tab.evaluate("document.documentElement.scrollWidth") <= NARROW


def test_keyboard_alone_goes_everywhere(browser, fleet):
    with opened(browser, fleet.address) as tab:
        focused = tab.locator(":focus")

        def tab_to(name: str) -> None:
            """Press the tabulator until that has the focus, and it can be seen that it has."""
            for _ in range(60):
                tab.keyboard.press("Tab")
                words = focused.evaluate("one => one.value || one.textContent || one.ariaLabel")
                if words.strip() == name:
                    style = "one => getComputedStyle(one.closest('label') ?? one).outlineStyle"
                    assert focused.evaluate(style) == "solid"
                    return
            raise AssertionError(f"never at {name}")

        tab.keyboard.press("Tab")
        expect(focused).to_have_text("Skip to the content")
        tab.keyboard.press("Enter")
        expect(tab.locator("main")).to_be_focused()
        tab_to("Offline 2")
        tab.keyboard.press("Space")
        rows = tab.locator("main tbody tr th a")
        expect(rows).to_have_text(["weather", "workshop"])
        tab_to("Failed 1")
        tab.keyboard.press("Space")
        expect(tab.locator("main tbody tr")).to_have_count(1)
        expect(focused).to_have_text("Failed 1")  # what is drawn anew keeps it
        tab_to("boiler-2")
        tab.keyboard.press("Enter")
        expect(tab.locator("h1")).to_have_text("boiler-2")
        expect(tab.locator("main")).to_be_focused()
        expect(tab.locator("#update")).to_be_visible()
        tab_to(ROLLOUT)
        tab.keyboard.press("Enter")
        expect(tab.locator("#executions")).to_be_visible()
        tab.reload()
        tab.wait_for_selector("main table")
        tab_to("auto")
        tab.keyboard.press("ArrowLeft")
        expect(tab.locator("html")).to_have_attribute("data-theme", "dark")


def test_log_can_be_scrolled_by_keyboard(browser, fleet, monkeypatch):
    monkeypatch.setattr("page_scene.LOG", LOG * 4)
    with opened(browser, fleet.address) as tab:
        go(tab, *ROUTES["thing"])
        tab.locator(".log").focus()
        tab.keyboard.press("End")
        limit = time.monotonic() + FUSE_S
        while not tab.locator(".log").evaluate("log => log.scrollTop"):
            assert time.monotonic() < limit


def test_switch_outlasts_a_reload_and_auto_follows_the_system(browser, fleet):
    ground = "getComputedStyle(document.body).backgroundColor"
    with opened(browser, fleet.address, scheme="light") as tab:
        light = tab.evaluate(ground)
        tab.get_by_label("Dark").check(force=True)
        dark = tab.evaluate(ground)
        tab.reload()
        tab.wait_for_selector("main table")
        assert tab.evaluate(ground) == dark != light
        tab.get_by_label("Auto").check(force=True)
        assert tab.evaluate(ground) == light
        tab.emulate_media(color_scheme="dark")
        assert tab.evaluate(ground) == dark
