"""/main.py of a board that has its firmware in /lib: starts it from there.

An image that brings a firmware of its own comes before /lib, and so does its `main`; what lies in
the root, where this file is called main, too, comes last.
"""

import sys

sys.path.append(sys.path.pop(sys.path.index("")))

import main  # noqa: E402, F401
