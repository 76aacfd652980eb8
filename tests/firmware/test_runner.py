"""The runner itself: these run on MicroPython, and one that fails is seen to fail."""

import sys


def test_interpreter_is_micropython():
    assert sys.implementation.name == "micropython"
