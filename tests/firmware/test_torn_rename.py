"""What a file system on flash shows after the power failed inside a rename between two folders.

LittleFS 2.10 and later note a move that was torn, and hide folders that were finished until the
first call that writes. So the agent makes one such call after the mount, before it looks.
"""

import sys

import vfs
from medium import Board, Chip, PowerCut

DIFFERS = True
HEAP = "2m"
STEPS = (  # as files of a job are put in place
    ("mkdir", "/data"),
    ("mkdir", "/data/deep"),
    ("rename", "/app.py", "/staged/0.old"),
    ("rename", "/staged/0", "/app.py"),
    ("rename", "/staged/1", "/data/deep/map"),
)
MADE = ("/data", "/data/deep", "/staged/0.old")  # what is there after each of the first steps
FILES = {"app.py": b"x" * 7, "keep.txt": b"y" * 9, "staged/0": b"z" * 7, "staged/1": bytes(9000)}


def mounted(chip):
    return vfs.VfsLfs2(chip, progsize=32, readsize=32, lookahead=32)


def torn(cut):
    """(the flash after a power cut at that operation, steps that were completed by then)."""
    chip = Board(files=FILES).chip
    files = mounted(chip)
    chip.left, done = cut, 0
    try:
        for name, *paths in STEPS:
            getattr(files, name)(*paths)
            done += 1
    except PowerCut:
        pass
    after = Chip()
    after.data = bytearray(chip.data)
    return after, done


def there(files, path):
    try:
        files.stat(path)
        return True
    except OSError:
        return False


def missing(files, done):
    """What was finished before the cut, and is not to be seen."""
    return [path for path in MADE[:done] if not there(files, path)]


def lost(write):
    """{cut: what is not to be seen after it} at each operation, with `write` after the mount."""
    cut, done, found = 0, 0, {}
    while done < len(STEPS):
        chip, done = torn(cut)
        files = mounted(chip)
        write(files)
        if done < 4 and missing(files, done):  # the third file goes on its way in the fourth step
            found[cut] = missing(files, done)
        cut += 1
    assert cut > 10  # operations were cut at, and the last one was not
    return found


def removes_nothing(files):
    """The call that writes nothing that anybody sees."""
    try:
        files.remove("/.mend")
    except OSError:
        pass


def makes_and_removes(files):
    files.mkdir("/.mend")
    files.rmdir("/.mend")


def test_finished_folders_are_seen_after_a_call_that_writes():
    assert lost(makes_and_removes) == {}


def test_removing_what_is_not_there_is_such_a_call():
    assert lost(removes_nothing) == {}


def test_looking_alone_is_none_where_a_torn_move_hides_folders():
    """Or the two above would prove nothing; LittleFS of MicroPython 1.25 and before hides none."""
    version = sys.implementation[1][:2]
    hidden = lost(lambda files: there(files, "/keep.txt"))
    assert bool(hidden) == (version >= (1, 26)), (version, hidden)
