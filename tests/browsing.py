"""A real browser that looks at the page of a fleet, and a server of that page."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from page_scene import ROLLOUT
from patience import FUSE_S
from playwright.sync_api import Browser, expect, sync_playwright
from playwright.sync_api import Page as Tab

from sluice.chromium import chromium
from sluice.cloud.run import serving
from sluice.page.application import Page
from sluice.page.live import Live, Looking

expect.set_options(timeout=0.06 * FUSE_S * 1_000)
OPTIONS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
WIDE, NARROW = 1_400, 400
HEIGHT = 900
ROUTES = {
    "things": ("#/", "#things"),
    "jobs": ("#/jobs", "#jobs"),
    "thing": ("#/thing/pump-south", "#update"),
    "failed": ("#/thing/boiler-2", "#update"),
    "job": (f"#/job/{ROLLOUT}", "#executions"),
}
EVERY_S = 1.0  # between two looks at the fleet


@contextmanager
def browsing() -> Iterator[Browser]:
    """The browser, with nothing in it. ToolchainError where there is none."""
    program = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield browser
        browser.close()


@dataclass(frozen=True)
class Served:
    """A page that is served."""

    page: Page
    endpoint: str

    @property
    def address(self) -> str:
        """A new one."""
        return self.page.address(self.endpoint)


@contextmanager
def served(reader: Any, name: str = "state lab", where: str = "--state lab") -> Iterator[Served]:
    """The page of what `reader` reads."""
    page = Page(lambda: Live(lambda: Looking(reader, name, EVERY_S, where)))
    web = serving(0, {}, page=page)
    try:
        yield Served(page, web.endpoint)
    finally:
        web.stop()


@contextmanager
def opened(
    browser: Browser,
    address: str,
    width: int = WIDE,
    scheme: str = "light",
    now: float | None = None,
) -> Iterator[Tab]:
    """A tab at an address, once the page shows the fleet. What the browser complains of fails.

    now   at which time it stands still, in seconds since 1970
    """
    complaints: list[str] = []
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHT}, color_scheme=scheme, reduced_motion="reduce"
    )
    tab = context.new_page()
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    if now is not None:
        tab.clock.set_fixed_time(now)
    tab.goto(address)
    tab.locator("main table").wait_for(timeout=FUSE_S * 1_000)
    yield tab
    context.close()
    assert not complaints


def go(tab: Tab, route: str, what: str = ".sheet") -> None:
    """Show another part of the page, until what is wanted of it is there."""
    tab.evaluate("route => { location.hash = route; }", route)
    heading = {"#/": "Things", "#/jobs": "Jobs"}.get(route) or route.rpartition("/")[2]
    expect(tab.locator("main h1")).to_have_text(heading)
    tab.locator("main").locator(what).first.wait_for(timeout=FUSE_S * 1_000)
