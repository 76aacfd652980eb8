"""A version as a user may write it."""


def unprefixed(text: str) -> str:
    """It without a `v` in front of its first number: a board compares both as the same."""
    return text[1:] if text[:1] == "v" and text[1:2].isdecimal() else text
