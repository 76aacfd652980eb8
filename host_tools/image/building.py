"""Shows on a terminal how far a smaller image is."""

from collections.abc import Iterator
from contextlib import contextmanager

from sluice.image import smaller


@contextmanager
def shown(what: str) -> Iterator[smaller.Progress]:
    """What to call with sectors that are done; nothing is shown where stderr is no terminal.

    Until the first call nobody knows how far it is: an older image is compared in one go.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()
    off = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=off) as bar:
        task = bar.add_task(escape(what), total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
