"""Time from the network: the host's clock is right already."""

import time as _time

host = "pool.ntp.org"
timeout = 1  # seconds


def time():
    """Seconds since the epoch of this port."""
    return int(_time.time())


def settime():
    """Nothing to set."""
