"""What a stream says of itself: version, files and their sizes, judged before a block is taken.

Part of sluice.transfer.stream. It is a module of its own because it is needed once in a download.

Until the stream has said that it holds our file, in our size, its blocks are passed over. Blocks
that overtake the description are so lost, and are asked for again. A stream that does not answer
is asked for its blocks all the same. If a policy forbids to describe, the cloud may end the link
of a board that tries.

source   AWS IoT developer guide, "Using AWS IoT MQTT-based file delivery in devices"
"""

from micropython import const

from sluice.errors import Fail, Gone
from sluice.log import Log

_ANSWER_MS = const(15_000)
_LOST = const(2)  # times that the link is lost over it, before it is not tried again
_SHOWN = const(8)  # files of a stream that has not ours

log = Log("stream")


async def describe(stream, link, file, sources, topics):
    """Subscribe, and ask for the description and the first blocks at once; the version's members.

    stream   the MQTTStream
    sources  sluice.run.Sources: the stream that was described last, and how often in a row the
             link was lost over it
    topics   {topic: handler} to subscribe to
    returns  {"s": n}; {} when it is not known
    raises   Fail when the stream has not our file, of the size the job says
    """
    lost = sources.times if sources.name == file.stream else 0
    if lost == _LOST:
        await link.subscribe(topics)
        return {}
    sources.name, sources.times = file.stream, lost + 1
    version, held = {}, Gone("not described")

    def on_description(topic, payload):
        told = stream.answer(payload, False)
        if told and stream.error is held:
            try:
                version.update(_compared(told, file))
                stream.error = None  # now, because a block may come in the same read
            except Fail as error:
                stream.error = error

    topics[stream.topic("description")] = on_description
    stream.error = held
    await link.subscribe(topics)
    stream.publish("describe", {})
    stream.ask(1)
    answered = await link.wait(lambda: stream.error is not held, _ANSWER_MS)
    sources.times = 0
    link.unsubscribe(stream.topic("description"))
    if not answered:
        log.w("not described")
        stream.error = None
    stream.described(answered)
    return version


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
