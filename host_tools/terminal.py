"""What a terminal gets: texts without what it would act on, by consoles that change nothing."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def plain(told: str) -> str:
    """A text without what a terminal would act on: a board or a job may tell anything."""
    return "".join(sign if sign.isprintable() else "?" for sign in told)


def console(markup: bool = False, **more: Any) -> "Console":
    """One of rich, which shows texts as they are: `:ab:` in an address is no emoji.

    markup  words in brackets are styles; others are escaped by who prints them
    more    what rich's Console takes
    """
    from rich.console import Console

    return Console(markup=markup, emoji=False, highlight=False, **more)
