"""The agent has stopped, by Ctrl-C or because it cannot start: room is made, and the verbs come.

main.py loads it then and not before. It is so small that it finds its place in a full heap. The
collector closes the connections, because nothing refers to them any more.
"""

import asyncio

from sluice.loading import plug_in

asyncio.new_event_loop()
asyncio.core.cur_task = None  # it, and the queue before, hold the agent
plug_in("sluice.console.verbs", "greet")()
