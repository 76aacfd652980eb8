"""The page in a real browser: what it says of things that told nothing yet."""

import re
from dataclasses import replace

from browsing import go, opened, served
from page_scene import Scene
from playwright.sync_api import expect


def test_thing_that_never_connected_says_what_to_do(browser, fleet):
    run = "sluice device run weather --state lab"
    flash = "sluice flash --port PORT --thing weather --state lab"
    with opened(browser, fleet.address) as tab:
        row = tab.get_by_role("row", name=re.compile("^weather"))
        for text in ("never connected", "nothing told yet", run, flash):
            expect(row).to_contain_text(text)
        go(tab, "#/thing/weather")
        for text in ("It has never connected", run, flash):
            expect(tab.locator("main .sheet")).to_contain_text(text)
        assert tab.locator("main figure").count() == 0  # nobody knows its slots


def test_commands_of_an_aws_accounts_page_say_that_a_state_folder_is_needed(browser, scene):
    """Things of AWS have their files in a folder, and the page does not know which."""
    with served(scene, "AWS us-east-1", "") as fleet, opened(browser, fleet.address) as tab:
        row = tab.get_by_role("row", name=re.compile("^weather"))
        expect(row).to_contain_text("sluice device run weather --state DIR")
        expect(row).to_contain_text("sluice flash --port PORT --thing weather --state DIR")


class Unknown(Scene):
    """A fleet of a cloud that does not tell who is connected."""

    def _thing(self, name, job):
        return replace(super()._thing(name, job), connected=None)


def test_thing_whose_connection_nobody_knows_is_not_said_to_have_never_connected(browser):
    with served(Unknown()) as fleet, opened(browser, fleet.address) as tab:
        row = tab.get_by_role("row", name=re.compile("^weather"))
        expect(row).to_contain_text("connection unknown")
        expect(row).not_to_contain_text("sluice flash")
        go(tab, "#/thing/weather", "#update")
        expect(tab.locator("main")).not_to_contain_text("never")
