"""How long a test waits: the one place.

A wait ends with what it waits for, so these cost nothing when all is well. They are fuses for what
never comes: minutes, as a busy machine takes its time. Nothing here measures anything, and no
test asserts that a time has not passed.
"""

FUSE_S = 300  # for one event: a line of a board, an answer, a process that ends
LONG_S = 900  # for a whole story: a page of documentation, a demo, a sweep
NEVER_S = 0.5  # how long something is looked for that must not come
