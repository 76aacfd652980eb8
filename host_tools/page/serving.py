"""The page of a cloud, for that cloud's own server, or on a server of its own."""

import time
from contextlib import suppress

from sluice.cloud.run import serving
from sluice.cloud.state import State
from sluice.fleet.account import Account, options
from sluice.fleet.clients import clients, shadows
from sluice.fleet.reader import Reader
from sluice.page.application import Page
from sluice.page.live import Live, Looking
from sluice.terminal import on_end

EVERY_S = {True: 1.0, False: 10.0}  # between two looks, by whether the cloud is on this machine
TICK_S = 0.1


def page(place: State | Account) -> Page:
    """The page of the cloud of a state folder, or of the user's own AWS.

    Clients are made once somebody looks: the cloud may not run yet.
    """

    def reach() -> Looking:
        cloud = clients(place)
        name, where = f"AWS {cloud.region}", ""
        if isinstance(place, State):
            name, where = f"state {place.root}", options(place)
        return Looking(Reader(cloud, shadows(place)), name, EVERY_S[cloud.near], where)

    return Page(lambda: Live(reach))


def serve(shown: Page, port: int) -> None:
    """Serve a page alone, on this machine, until SIGTERM or SIGINT; prints its address."""
    ended: list[int] = []  # no Event: setting one within its own wait waits for ever
    on_end(lambda: ended.append(1))
    web = serving(port, {}, page=shown)
    try:
        print(f"page {shown.address(web.endpoint)}", flush=True)
        with suppress(KeyboardInterrupt):
            while not ended:
                time.sleep(TICK_S)
    finally:
        web.stop()
