"""The agent has stopped, by Ctrl-C or because it cannot start: room is made, and the verbs come.

Loaded by main.py then and not before; so small that it finds its place in a full heap. What was
connected is closed by the collector, as nothing refers to it any more.
"""

import asyncio

from sluice.loading import plug_in

asyncio.new_event_loop()
asyncio.core.cur_task = None  # it, and the queue before, hold the agent
plug_in("sluice.console.verbs", "greet")()
