"""The pictures of docs/fleet.md: `make screenshots`.

A real browser looks at the page of a fleet that is made up (tests/page_scene.py), at a time that
stands still.
"""

import sys
from base64 import b64decode
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from browsing import HEIGHT, NARROW, WIDE, browsing, go, opened, served  # noqa: E402
from page_scene import NOW, Scene  # noqa: E402
from playwright.sync_api import Browser, Page, expect  # noqa: E402

FOLDER = ROOT / "docs/pictures"
VIEWS = {"fleet": "#/", "thing": "#/thing/pump-south"}
WIDTHS = {"wide": WIDE, "narrow": NARROW}
QUALITY = 100  # of WebP: nothing is lost, and a page is smaller so
SCHEMES = ("light", "dark")
REPORT_S = 5  # between two reports of a board
TOLD = (  # blocks that had come, and bytes that were free, one report after the other
    (0, 33_900), (17, 31_616), (38, 31_184), (58, 30_912), (77, 31_040), (92, 29_760),
    (101, 30_528), (123, 30_944), (146, 31_104), (168, 30_896), (191, 30_720), (212, 31_040),
)  # fmt: skip


class Moving(Scene):
    """The same fleet, where each look at it brings the next report."""

    def __init__(self) -> None:
        super().__init__()
        self._left = len(TOLD)

    def fleet(self):
        """All of it, a little later."""
        self._left = max(0, self._left - 1)
        self.blocks, self.free = TOLD[-1 - self._left]
        self.age = REPORT_S * self._left + 1
        return super().fleet()


def take(browser: Browser, address: str, name: str, width: str, scheme: str) -> Path:
    """One picture; its file."""
    file = FOLDER / f"{name}-{width}-{scheme}.webp"
    with opened(browser, address, WIDTHS[width], scheme, NOW) as tab:
        go(tab, VIEWS[name])
        expect(tab.locator("main")).to_contain_text(f"{TOLD[-1][0]} of 359")
        settle(tab)
        line = tab.context.new_cdp_session(tab)  # Playwright itself writes no WebP
        taken = line.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
        file.write_bytes(b64decode(taken["data"]))
    return file


def settle(tab: Page) -> None:
    """Have the window as high as the page, so that nothing of it is empty."""
    tall = tab.evaluate("document.querySelector('main').getBoundingClientRect().bottom")
    width = tab.viewport_size["width"]
    tab.set_viewport_size({"width": width, "height": min(round(tall), 3 * HEIGHT)})


def main() -> int:
    """Take them all."""
    FOLDER.mkdir(exist_ok=True)
    with browsing() as browser, served(Moving()) as fleet:
        for name in VIEWS:
            for width in WIDTHS:
                for scheme in SCHEMES:
                    file = take(browser, fleet.address, name, width, scheme)
                    print(f"{file.relative_to(ROOT)}: {file.stat().st_size:,} bytes", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
