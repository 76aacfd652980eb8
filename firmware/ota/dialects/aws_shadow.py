"""The classic shadow of AWS IoT, as far as telling it what the board is.

source   AWS IoT developer guide, "Device Shadow MQTT topics"; document 001
"""

import json


async def tell(link, thing, reported):
    """Report some state, a dict, and wait for the PUBACK. Raises Retry when none comes.

    Nobody waits for the service's own answer: what the board is does not depend on it.
    """
    payload = json.dumps({"state": {"reported": reported}})
    await link.deliver("$aws/things/%s/shadow/update" % thing, payload)
