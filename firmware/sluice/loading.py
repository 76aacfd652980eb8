"""Modules that are loaded when they are needed, and forgotten in one place. Imports none of ours.

Code that needs a module imports it, or plugs it in by its name. Nobody lets go of it: when the
agent leaves a state, it forgets all that it did not have when it began. That may come too late,
where the heap was measured to be fuller within the state. Then a part of the state loads its
modules in a `Scope`, with the reason beside it.

On a board that has its modules frozen, forgetting costs and saves next to nothing. On one that
loads them from its file system, their code does not stay in the heap.
"""

import gc
import os
import sys

_resident = ()  # names of the modules that stay
_depth = 0  # of scopes within each other that are open


def plug_in(path, name):
    """The attribute of that name of the module at `path`, loaded now if it was not yet.

    Collects first: what lives long is to lie low in the heap, not behind garbage. Within a scope
    nothing lives long.
    """
    if path not in sys.modules and not _depth:
        gc.collect()
    return getattr(__import__(path, None, None, (name,)), name)


def keep(names):
    """From now on these modules stay, whoever forgets."""
    global _resident
    _resident = tuple(names)


def forget(used=()):
    """Forget all modules of ours but those that stay and these, half imported ones among them.
    Their memory comes back once nothing else refers to them."""
    for path in _passing():
        if path not in used:
            sys.modules.pop(path)
            package, _, name = path.rpartition(".")
            if package in sys.modules and hasattr(sys.modules[package], name):
                delattr(sys.modules[package], name)
    gc.collect()


def _passing():
    """Those of ours that do not stay: the agent's, the client that it is made of, an operation in
    the board's own folder."""
    return [
        path
        for path in sys.modules
        if path not in _resident
        and (path[:7] == "sluice." or path.split(".")[0] in ("umqtt", "operations"))
    ]


class Scope:
    """`with Scope(): …`: what is loaded within is forgotten at its end."""

    def __enter__(self):
        global _depth
        self._used = tuple(_passing())  # before it counts: where this fails, nobody leaves it
        _depth += 1

    def __exit__(self, *fault):
        global _depth
        _depth -= 1
        forget(self._used)


def exists(path):
    """True when the board has such a file or folder."""
    try:
        os.stat(path)
    except OSError:
        return False
    return True
