"""A board's clock, which shows a time of long ago until the agent has set it."""

_SET_S = 1_735_689_600  # 2025-01-01: there was no agent before


def is_set(seconds: float) -> bool:
    """Whether a clock that shows this, in seconds since 1970, can be right."""
    return seconds >= _SET_S
