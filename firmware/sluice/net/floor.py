"""The earliest time that is plausible, kept in a file over power cuts.

The file says "proven" and the seconds since 1970. A number alone is of an earlier release, which
believed time servers: it is passed over. That release passes over ours.
"""

import os

from sluice.log import Log

log = Log("clock")


def load(path, earliest_s, latest_s):
    """Seconds since 1970 from the file, if it is sound and between these; else `earliest_s`."""
    try:
        with open(path or "") as file:
            word, _, text = file.read(32).partition(" ")
        floor_s = int(text) if word == "proven" else 0
    except (OSError, ValueError):
        return earliest_s
    return floor_s if earliest_s <= floor_s < latest_s else earliest_s


def save(path, now_s):
    """Put the time into the file; False, and a warning, when it cannot be written."""
    try:
        with open(path + ".new", "w") as file:
            file.write("proven %d" % now_s)
        os.rename(path + ".new", path)
    except OSError as error:
        log.w("floor not saved", error)
        return False
    return True
