"""The version of this agent. Of a tree of it the record has the same."""

VERSION = "0.1.0"
