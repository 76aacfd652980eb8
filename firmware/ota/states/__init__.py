"""The states of ota.table: one module each, with a coroutine of its name.

It is awaited with the agent and returns an event, or raises one of ota.errors.
"""
