"""Shows on a terminal how far a smaller image is."""

from collections.abc import Iterator
from contextlib import contextmanager

from sluice.image import smaller
from sluice.terminal import console, drawing, plain


@contextmanager
def shown(what: str) -> Iterator[smaller.Progress]:
    """What to call with sectors that are done; nothing is shown where stderr is no terminal.

    Until the first call nobody knows how far it is: an older image is compared in one go.
    """
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    screen = console(stderr=True)
    columns = TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn()
    off = not screen.is_terminal
    with drawing(), Progress(*columns, console=screen, transient=True, disable=off) as bar:
        task = bar.add_task(plain(what), total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
