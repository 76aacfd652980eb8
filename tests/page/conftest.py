"""A browser for the tests of a module, and the page of a fleet that stands still."""

from collections.abc import Iterator

import pytest
from browsing import Served, browsing, served
from page_scene import Scene
from playwright.sync_api import Browser

from sluice.debian import ToolchainError


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For one module, because its loop runs in this thread until it ends."""
    try:
        with browsing() as made:
            yield made
    except ToolchainError as error:
        pytest.skip(f"the page was not looked at: {error}")


@pytest.fixture
def scene() -> Scene:
    """The fleet, which the test may change."""
    return Scene()


@pytest.fixture
def fleet(scene: Scene) -> Iterator[Served]:
    """Its page."""
    with served(scene) as made:
        yield made
