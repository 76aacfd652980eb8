"""How an image's bytes arrive. To add a source: one file here, and its row.

A source has `async fetch(image, watch)`, which fills the image and awaits `watch()` now and
then, and `close()`, which leaves nothing behind on the link.
"""

# fmt: off
SOURCES = {  # name that a document shape gives a file → (module of ota.sources, its class)
    "mqtt_stream": ("mqtt_stream", "MQTTStream"),
}
# fmt: on


def source(name, *words):
    """Build the source of that name; only then is its module loaded."""
    module_name, class_name = SOURCES[name]
    module = __import__("ota.sources." + module_name, None, None, (class_name,))
    return getattr(module, class_name)(*words)
