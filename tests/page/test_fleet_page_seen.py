"""The page in a real browser: what it shows, and what changes."""

import re
from dataclasses import replace

import pytest
from browsing import NARROW, ROUTES, WIDE, go, opened, served
from page_scene import NOW, ROLLED_BACK, ROLLOUT, Scene
from playwright.sync_api import expect

from sluice.errors import SluiceError

SCRIPT = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


class Hostile(Scene):
    """A fleet whose boards and users put a script wherever they can write."""

    def _thing(self, name, job):
        one = super()._thing(name, job)
        bad = replace(job, details={"reason": SCRIPT}, status="FAILED") if job else None
        keys = ("board", "app", "app_state", "agent", "trees", "micropython", "reset")
        words = dict.fromkeys(keys, SCRIPT)
        return replace(one, job=bad, groups=(SCRIPT,), **words)

    def thing(self, name):
        settings = {SCRIPT: SCRIPT}
        return replace(super().thing(name), log=(SCRIPT,), failures=(SCRIPT,), settings=settings)

    def job(self, name):
        return replace(super().job(name), description=SCRIPT, comment=SCRIPT)


def test_failed_job_is_shown_with_its_reason(browser, fleet):
    with opened(browser, fleet.address) as tab:
        row = tab.get_by_role("row", name=re.compile("^boiler-2"))
        expect(row).to_contain_text("failed")
        expect(row).to_contain_text(ROLLED_BACK)
        go(tab, *ROUTES["job"])
        first = tab.locator("main tbody tr").first
        expect(first).to_contain_text(f"failed {ROLLED_BACK}")


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_application_that_does_not_run_is_seen_while_somebody_looks(browser, fleet, scene, width):
    with opened(browser, fleet.address, width=width) as tab:
        rows = tab.locator("main tbody tr")
        cellar, loft = (
            rows.filter(has_text=name).locator(".sub:visible") for name in ("cellar", "loft")
        )
        expect(cellar.filter(has_text="failed")).to_have_count(0)
        scene.states = {"cellar": "failed", "loft": "ended"}
        before = "application " if width == NARROW else ""
        expect(cellar.and_(tab.locator(".bad"))).to_have_text(f"{before}failed")
        expect(loft.and_(tab.locator(".wait")).last).to_have_text(f"{before}ended")
        expect(tab.locator("#news")).to_have_text(
            re.compile("^(cellar: .* failed|loft: .* ended)$")
        )
        tab.get_by_role("button", name="Failed 2").click()
        expect(tab.locator("main tbody tr th a")).to_have_text(["boiler-2", "cellar"])
        go(tab, "#/thing/cellar")
        expect(tab.locator(".title")).to_contain_text("application failed")
        expect(tab.locator("main dl dd .bad").first).to_have_text(" failed")


def test_map_fills_while_somebody_looks(browser, fleet, scene):
    with opened(browser, fleet.address) as tab:
        go(tab, *ROUTES["thing"])
        shown = tab.locator("main .map")
        expect(shown).to_have_attribute("aria-label", "212 of 359 sectors are written")
        assert tab.locator("main .map i").count() == 359
        scene.blocks = 300
        expect(shown).to_have_attribute("aria-label", "300 of 359 sectors are written")
        assert tab.locator("main .map i.full").count() == 300


def test_blocks_come_and_sectors_are_written(browser, fleet):
    with opened(browser, fleet.address) as tab:
        row = tab.get_by_role("row", name=re.compile("^pump-south"))
        expect(row).to_contain_text("59 %, 212 of 359 blocks")
        go(tab, *ROUTES["thing"])
        expect(tab.locator("main section").first).to_contain_text("59 %, 212 of 359 blocks")
        expect(tab.locator("main figure").nth(1)).to_contain_text("212 of 359 sectors are written")
        expect(tab.locator("main figure").nth(1)).to_contain_text("■ = 1 sector, 4 KiB")


def test_row_says_what_each_fact_is(browser, fleet):
    with opened(browser, fleet.address, now=NOW) as tab:
        heads = tab.locator("main thead th").all_text_contents()
        cells = tab.get_by_role("row", name=re.compile("^boiler-1")).locator("th, td")
        found = dict(zip(heads, cells.all_text_contents(), strict=True))
        assert found["Board"] == "ESP32_GENERIC" and found["Image"] == "1.2.0in ota_1"
        assert found["Connection"] == "connectedtold 2 min ago"
        away = tab.get_by_role("row", name=re.compile("^workshop")).locator("td").last
        expect(away).to_have_text("offline for 1 dtold 1 d ago")


def test_heap_is_said_once_and_when_it_was_told(browser, fleet):
    with opened(browser, fleet.address, now=NOW) as tab:
        go(tab, "#/thing/boiler-1", "#update")
        assert tab.locator("main").inner_text().count("KiB free") == 1
        expect(tab.locator("main")).to_contain_text("30.3 KiB free, told 2 min ago")


def test_failures_are_in_words_with_their_age_the_newest_first(browser, fleet):
    with opened(browser, fleet.address, now=NOW) as tab:
        go(tab, *ROUTES["failed"])
        expect(tab.locator("#failures + ul li")).to_have_text(
            [
                f"5 min agojob {ROLLOUT} failed: {ROLLED_BACK}",
                "2 d agojob AFR_OTA-readings-2-0-0 failed: bad signature",
            ]
        )


def test_map_of_a_large_image_has_few_squares(browser, fleet, monkeypatch):
    monkeypatch.setattr("page_scene.SIZE", 24 << 20)
    with opened(browser, fleet.address) as tab:
        go(tab, *ROUTES["thing"])
        expect(tab.locator("main figure").nth(1)).to_contain_text("3,628 of 6,144 sectors")
        expect(tab.locator("main figure").nth(1)).to_contain_text("■ = 12 sectors, 48 KiB")
        assert tab.locator("main .map i").count() == 512
        assert tab.locator("main .map i.full").count() == 302
        assert tab.locator("main .map i.part").count() == 1


def test_slot_on_trial_is_the_one_that_was_filled(browser, fleet):
    with opened(browser, fleet.address) as tab:
        go(tab, "#/thing/loft", "#update")
        first, second = tab.locator("main figure").all()
        expect(first).to_contain_text("ota_0the way backIt ran before.")
        expect(second).to_contain_text("ota_1 1.2.0runs on trial")
        expect(second).to_contain_text("359 of 359 sectors")


def test_heap_and_speed_are_curves_over_time(browser, fleet, scene):
    with opened(browser, fleet.address) as tab:
        go(tab, *ROUTES["thing"])
        scene.free, scene.blocks = 20_480, 300
        heap = tab.get_by_role("img", name=re.compile(r"20 KiB free, least 20 KiB"))
        expect(heap).to_be_visible()
        scene.blocks = 350
        speed = tab.get_by_role("img", name=re.compile(r"KiB a second, least"))
        expect(speed).to_be_visible()


def test_change_is_said_to_who_cannot_see_it(browser, fleet, scene, monkeypatch):
    with opened(browser, fleet.address) as tab:
        expect(tab.locator("#news")).to_be_empty()
        scene.fails.add("pump-north")
        expect(tab.locator("#news")).to_have_text(f"pump-north: failed, {ROLLED_BACK}")
        expect(tab.locator("main")).to_contain_text("2 succeeded, 2 failed, 2 in progress")
        part = tab.locator(".outcomes").first.locator(".bad")
        assert part.evaluate("one => getComputedStyle(one).flexGrow") == "2"
        assert tab.locator("#news").get_attribute("aria-live") == "polite"


def test_script_of_a_board_or_a_user_is_text(browser):
    with served(Hostile(), SCRIPT) as fleet, opened(browser, fleet.address) as tab:
        for name in ("things", "jobs", "failed", "job"):
            go(tab, *ROUTES[name])
            assert tab.locator("main img, main script, header img").count() == 0
            assert tab.title() != "taken"
        go(tab, *ROUTES["failed"])
        for part in (".reason", ".log li", "#failures + ul", "dl"):
            expect(tab.locator(f"main {part}").first).to_contain_text(SCRIPT)
        expect(tab.locator("#where")).to_have_text(SCRIPT)


def test_search_and_what_is_typed_stay_while_the_fleet_changes(browser, fleet, scene):
    with opened(browser, fleet.address) as tab:
        tab.get_by_label("Name or group").fill("pump")
        expect(tab.locator("main tbody tr")).to_have_count(2)
        scene.blocks = 301
        expect(tab.locator("main")).to_contain_text("301 of 359 blocks")
        expect(tab.get_by_label("Name or group")).to_have_value("pump")
        expect(tab.locator("main tbody tr")).to_have_count(2)


def test_address_that_was_used_says_what_to_do(browser, fleet):
    address = fleet.address
    with opened(browser, address) as tab:
        assert tab.url.endswith("/fleet/#/")  # the token is not left in the history
        other = browser.new_page()
        other.goto(address)
        expect(other.locator("main")).to_contain_text("sluice fleet --web")
        other.context.close()


def test_cloud_that_does_not_answer_is_told_and_what_was_shown_stays(browser, fleet, scene):
    with opened(browser, fleet.address) as tab:
        scene.trouble = SluiceError("Could not connect to the endpoint")
        expect(tab.get_by_role("alert")).to_have_text("Could not connect to the endpoint")
        expect(tab.locator("main tbody tr")).to_have_count(12)
        scene.trouble = None
        expect(tab.get_by_role("alert")).to_have_count(0)


def test_thing_that_is_not_there_is_told(browser, fleet):
    with opened(browser, fleet.address) as tab:
        go(tab, "#/thing/nobody", ".trouble")
        expect(tab.locator("main .trouble")).to_have_text("there is no thing nobody")
        tab.evaluate("location.hash = '#/thing/%'")
        expect(tab.locator("main h1")).to_have_text("Things")
