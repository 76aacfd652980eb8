"""The earliest time that is plausible, kept in a file over power cuts."""

import os

from ota.log import Log

log = Log("clock")


def load(path, earliest_s, latest_s):
    """Seconds since 1970 from the file, if it is sound and between these; else `earliest_s`."""
    try:
        with open(path or "") as file:
            floor_s = int(file.read(16))
    except (OSError, ValueError):
        return earliest_s
    return floor_s if earliest_s <= floor_s < latest_s else earliest_s


def save(path, now_s):
    """Put the time into the file; False, and a warning, when it cannot be written."""
    try:
        with open(path + ".new", "w") as file:
            file.write(str(now_s))
        os.rename(path + ".new", path)
    except OSError as error:
        log.w("floor not saved", error)
        return False
    return True
