"""How an image's bytes arrive. To add a source: one file here, and its row.

A source has `async fetch(image, watch)`, which fills the image and awaits `watch()` now and
then, and `close()`, which leaves nothing behind on the link.
"""

from ota.plugins import let_go, plug_in

# fmt: off
SOURCES = {  # name that a document shape gives a file → its class, its module, what that needs
    "mqtt_stream": ("MQTTStream", "ota.sources.mqtt_stream", "ota.blockparser"),
}
# fmt: on


def source(name, *words):
    """Build the source of that name; only then is its module loaded."""
    row = SOURCES[name]
    return plug_in(row[1], row[0])(*words)


def release(name):
    """Let go of the source's modules; the next download loads them again."""
    let_go(*SOURCES[name][1:])
