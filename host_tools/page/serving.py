"""The page of a fleet, for the cloud's server or for one of its own."""

from collections.abc import Callable
from threading import Event

from sluice.cloud.http.page import Page as Served
from sluice.cloud.run import serving
from sluice.cloud.state import State
from sluice.fleet.clients import Clients
from sluice.page.application import Page
from sluice.page.live import Live, Looking

NEAR_S, FAR_S = 1.0, 10.0  # between two readings: AWS limits how often it is asked


def page(reach: Callable[[], tuple[Clients, object]], near: bool) -> Page:
    """The page of a cloud, whose clients `reach` makes once somebody looks."""

    def look() -> Looking: ...

    return Page(lambda: Live(look, NEAR_S if near else FAR_S))
