"""The browser of the page's tests: found, or plainly not."""

import pytest

from sluice import chromium
from sluice.errors import SluiceError


@pytest.fixture(autouse=True)
def fresh():
    """What was found is remembered: forget it before and after."""
    chromium.chromium.cache_clear()
    yield
    chromium.chromium.cache_clear()


def browser(path, said: str):
    path.write_text(f"#!/bin/sh\necho '{said}'\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    "said", ["Chromium 150.0.7871.100 built on Debian", "Google Chrome 151.0.1", "Chrome 120.0"]
)
def test_named_browser_is_taken(tmp_path, monkeypatch, said):
    mine = browser(tmp_path / "mine", said)
    monkeypatch.setenv("CHROMIUM", str(mine))
    assert chromium.chromium() == mine


@pytest.mark.parametrize("said", ["Chromium 119.9.9", "Mozilla Firefox 140.0", ""])
def test_named_browser_that_will_not_do_is_told(tmp_path, monkeypatch, said):
    monkeypatch.setenv("CHROMIUM", str(browser(tmp_path / "mine", said)))
    with pytest.raises(SluiceError, match=r"\$CHROMIUM: .* is not Chromium 120 or later"):
        chromium.chromium()


def test_make_goes_on_without_a_browser_and_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("SLUICE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))  # no browser, and no apt
    assert chromium.main() == 0
    said = capsys.readouterr().err
    assert "the tests of the page are skipped" in said and "$CHROMIUM" in said
    assert len(said.splitlines()) == 1


def test_browser_that_is_fetched_runs_by_its_own_loader():
    """Where apt has one: `make test` has fetched it."""
    try:
        found = chromium.chromium()
    except SluiceError as error:
        pytest.skip(str(error))
    assert chromium._fault(found) is None
