"""In the place of sluice.net.tcp: a connection is to the world's broker or file server."""

import world


async def dial(server, port, context, clock):
    return world.current.connect(server, port)
