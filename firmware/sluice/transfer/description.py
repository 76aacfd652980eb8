"""What a stream says of itself, asked before its blocks: version, files and their sizes.

Part of sluice.transfer.stream; a module of its own because it is needed once in a download.

source   AWS IoT developer guide, "Using AWS IoT MQTT-based file delivery in devices"
"""

from micropython import const

from sluice.errors import Fail
from sluice.log import Log

_ANSWER_MS = const(15_000)
_LOST = const(2)  # times that the link is lost over it, before it is not tried again
_SHOWN = const(8)  # files of a stream that has not ours

log = Log("stream")


async def describe(stream, link, file, history):
    """The members that tell the stream's version in a request: {"s": n}; {} when it is not known.

    A stream that does not answer is asked for its blocks all the same, and a cloud whose policy
    forbids to describe may end the link of who tries.

    stream   the MQTTStream
    history  list of two, kept between downloads: name of the stream that was described last, and
             how often in a row the link was lost over it
    raises   Fail when the stream has not our file, of the size the job says
    """
    lost = history[1] if history[0] == file.stream else 0
    if lost == _LOST:
        return {}
    history[0], history[1] = file.stream, lost + 1
    told = {}

    def on_description(topic, payload):
        told.update(stream.answer(payload, False) or {})

    await link.subscribe(stream.topic("description"), on_description)
    stream.publish("describe", {})
    if not await link.wait(lambda: told or stream.error, _ANSWER_MS):
        log.w("not described")
    history[1] = 0
    link.unsubscribe(stream.topic("description"))
    if stream.error:
        raise stream.error
    return _compared(told, file) if told else {}


def _compared(told, file):
    files = told.get("r")
    files = [r for r in files if isinstance(r, dict)] if isinstance(files, list) else []
    sizes = [r.get("z") for r in files if r.get("f") == file.id]
    if not sizes:
        has = [r.get("f") for r in files if isinstance(r.get("f"), int)]
        raise Fail("stream has no file %d, but" % file.id, *has[:_SHOWN])
    if sizes != [file.size]:
        sizes = [size if isinstance(size, int) else None for size in sizes[:_SHOWN]]
        raise Fail("file size is not the stream's", *sizes)
    version = told.get("s")
    return {"s": version} if isinstance(version, int) and version >= 0 else {}
