"""The firmware's version in the classic shadow: once, at boot, where no shadow is configured.

source   document 001; AWS IoT developer guide, "Device Shadow MQTT topics"
"""

import json


async def report(agent, shadow):
    """Have it there; see sluice.clouds.aws_shadow. Raises Retry when the session is lost."""
    report = {"state": {"reported": {shadow.key: agent.slots.version or "unknown"}}}
    topic = "$aws/things/%s/shadow/update" % agent.settings["thing"]
    await agent.link.deliver(topic, json.dumps(report))
