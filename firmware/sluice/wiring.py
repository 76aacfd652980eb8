"""Builds the objects from the configuration: the only file that knows concrete classes.

Needed once, and forgotten then: run.py loads it and takes what it built.
"""

# Leaves first: an import within an import takes C stack, and ESP32's task has 16 KiB of it.
# ruff: noqa: I001
import board
from sluice.journal import Journal, cells
from sluice.loading import Scope, plug_in
from sluice import job  # noqa: F401
from sluice.agent.agent import Agent
from sluice.net import packets  # noqa: F401
from sluice.net.clock import Clock
from sluice.net.mqtt import Link
from sluice.run import Application, Reach, Sources, built, load


def build(settings, slots, trees, app, buffer, starts):
    """(agent, link) for a board with that configuration and application.

    raises   Fail, naming the file, for credentials that are missing or unusable, those of the way
             that linked last among them
    """
    clock, thing, ways = Clock(board, "/clock"), settings["thing"], settings["ways"]
    link = Link(thing, "", 0, None, settings["keepalive_s"], clock)
    with Scope():  # what is loaded when the agent begins stays
        plug_in("sluice.lastlink", "take")(link, ways)
    shadow = _shadow(settings)
    words = link, thing, clock, slots.version, settings, shadow
    agent = Agent(
        slots,
        trees,
        Journal(cells(board)),
        built("DIALECTS", settings["dialect"], *words),
        Reach(ways, settings["trial_s"] * 1_000, slots, link, clock).reach,
        Sources(link, clock, settings, ways["turns"]).source,
        clock,
        settings,
        load,
        Application(app, link, clock, settings["hold_s"] * 1_000),
        board.reset,
        buffer,
        starts,
        link,
    )
    if shadow:
        shadow["agent"] = agent
    return agent, link


def _shadow(settings):
    """What the dialect has told: the shadow, or the version alone; None for neither."""
    if not (settings["shadow"] or settings["report_version"]):
        return None
    with Scope():  # nothing of its code is to stay
        return plug_in("sluice.clouds.shadow", "kept")("sluice.config", "sluice.vitals")
