"""A slot that costs nothing, and what counts allocations and collections beside a download."""

import gc

DROP = 1024  # bytes less in use than before: somebody collected


class Slot:
    """A slot of flash that takes all and holds nothing."""

    inactive, size, trial, version = "ota_1", 1 << 24, None, "1"

    def target(self):
        return self

    def hide(self):
        pass

    def writeblocks(self, number, data, offset=None):
        pass

    def readblocks(self, number, buf, offset=0):
        pass

    def ioctl(self, operation, argument):
        return 0

    def check(self, head, size):
        return "2"


class Looking:
    """Counts collections: passes calls on, and looks each time how much is in use."""

    def __init__(self):
        self.count = 0
        self.used = gc.mem_alloc()

    def through(self, call):
        """The same call, with a look before it."""

        def looked(*words):
            used = gc.mem_alloc()
            if used < self.used - DROP:
                self.count += 1
            self.used = used
            return call(*words)

        return looked


class Uncollected:
    """Stands for gc where everything that was allocated is to be counted."""

    threshold = mem_free = lambda self, size=0: 1 << 20

    def collect(self):
        pass


def measured(download, what, patched):
    """Run `download(through)`; print what is asked for: "", "allocated" or "collections".

    patched   modules whose gc is not to collect while allocations are counted
    """
    looking = None
    through = lambda call: call  # noqa: E731
    if what == "allocated":
        gc.collect()
        gc.disable()
        for module in patched:
            module.gc = Uncollected()
        before = gc.mem_alloc()
    elif what == "collections":
        looking = Looking()
        through = looking.through
    download(through)
    if what == "allocated":
        print(gc.mem_alloc() - before)
    elif looking:
        print(looking.count)
