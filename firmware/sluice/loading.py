"""Modules that are loaded when they are needed and let go of afterwards. Imports nothing of ours.

On a board that has them frozen, letting go costs and saves next to nothing; on one that loads them
from its file system, their code does not stay in the heap.
"""

import gc
import os
import sys


def plug_in(path, name):
    """The attribute of that name of the module at `path`, loaded now if it was not yet.

    Collects first: what lives long is to lie low in the heap, not behind garbage.
    """
    if path not in sys.modules:
        gc.collect()
    return getattr(__import__(path, None, None, (name,)), name)


def let_go(*paths):
    """Forget these modules; their memory comes back once nothing else refers to them."""
    for path in paths:
        if sys.modules.pop(path, None):
            package, _, name = path.rpartition(".")
            if package in sys.modules and hasattr(sys.modules[package], name):
                delattr(sys.modules[package], name)
    gc.collect()


def unused(used):
    """Let go of all modules of the agent's but those of these names: whatever a full heap kept
    from being let go of, half imported ones among them."""
    let_go(*[path for path in sys.modules if path[:7] == "sluice." and path not in used])


def there(path):
    """True when the board has such a file or folder."""
    try:
        os.stat(path)
    except OSError:
        return False
    return True
