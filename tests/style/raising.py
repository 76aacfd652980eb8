"""Which errors of sluice.errors a piece of device code can raise, read off its syntax tree.

Calls are followed by the name of what they are made on (`agent.dialect.report` → every dialect's
`report`), `except` takes away what it catches, and whoever names an error where he does not catch
it is taken to raise it. So it says rather too much than too little. What code of others raises
(OSError, MemoryError) is not looked at: the agent's walk has an answer to any of that.
"""

import ast
from collections.abc import Iterable

from sources import trees

ERRORS = {"Retry", "Refuse", "Fail", "Gone"}
ALL = {"Exception", "OTAError", "BaseException"}
TREES = trees()


def _package(name: str) -> list[str]:
    return [module for module in TREES if module.startswith(name + ".")]


SOURCES = [f"sluice.transfer.{name}" for name in ("blocks", "description", "http_range", "stream")]
MADE_ON = {  # what a call is made on → the modules that may define it
    "agent": ["sluice.agent.agent", "sluice.linking"], "dialect": _package("sluice.clouds"),
    "source": SOURCES, "journal": ["sluice.journal"], "slots": ["sluice.slots.esp32"],
    "update": ["sluice.transfer.update"], "image": ["sluice.transfer.image"],
    "job": ["sluice.job"], "link": ["sluice.net.mqtt"], "policy": ["sluice.trust.policy"],
    "verify": ["sluice.trust.verify"], "clock": ["sluice.net.clock"],
    "wifi": ["sluice.linking"], "blocks": SOURCES, "reader": ["sluice.net.reader"],
    "device": ["sluice.agent.agent"], "module": _package("sluice.jobs.documents"),
}  # fmt: skip


def _kinds() -> dict[str, str]:
    """Every class of ours that is one of the errors → which."""
    kinds = {name: name for name in ERRORS}
    for tree in list(TREES.values()) * 2:  # twice: a class may be defined before its base is seen
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                bases = {kinds.get(getattr(base, "id", "")) for base in node.bases} - {None}
                if bases and node.name not in kinds:
                    kinds[node.name] = bases.pop()
    return kinds


KINDS = _kinds()


def _definitions(module: str, name: str) -> Iterable[ast.AST]:
    """The functions and methods of that name; for a class, how it is built."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            yield node
        if isinstance(node, ast.ClassDef) and node.name == name:
            yield from (child for child in node.body if getattr(child, "name", None) == "__init__")


def _home(module: str, name: str) -> str:
    """The module that a plain name comes from: imported, or the module's own."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.ImportFrom) and node.module in TREES:
            for alias in node.names:
                if name == (alias.asname or alias.name):
                    return node.module
    return module


class Raising:
    """What functions can raise; each is looked at once."""

    def __init__(self):
        self._known: dict[tuple[str, str], set[str]] = {}

    def function(self, module: str, name: str) -> set[str]:
        """The errors of a function of a module; empty for one that it has not got."""
        key = module, name
        if key not in self._known:
            self._known[key] = set()  # a recursion adds nothing
            for node in _definitions(module, name):
                for child in node.body:
                    self._known[key] |= self.node(child, module)
        return self._known[key]

    def node(self, node: ast.AST, module: str) -> set[str]:
        if isinstance(node, ast.Try):
            return self._attempt(node, module)
        found = self._own(node, module)
        for child in ast.iter_child_nodes(node):
            if not self._only_asked(node, child):
                found |= self.node(child, module)
        return found

    def _only_asked(self, node: ast.AST, child: ast.AST) -> bool:
        """True for the classes of an isinstance, which raises none of them."""
        asks = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance"
        return asks and child is not node.args[0]

    def _attempt(self, node: ast.Try, module: str) -> set[str]:
        found = set().union(*(self.node(child, module) for child in node.body))
        for handler in node.handlers:
            names = {n.id for n in ast.walk(handler.type) if isinstance(n, ast.Name)}
            caught = ERRORS if names & ALL else {KINDS[name] for name in names if name in KINDS}
            caught = found & caught
            found = found - caught
            again = any(isinstance(n, ast.Raise) and n.exc is None for n in ast.walk(handler))
            after = set().union(*(self.node(child, module) for child in handler.body))
            found |= after | (caught if again else set())
        for child in node.orelse + node.finalbody:
            found |= self.node(child, module)
        return found

    def _own(self, node: ast.AST, module: str) -> set[str]:
        """What the node itself adds: an error that it names, or code that it reaches."""
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            if node.id in KINDS:
                return {KINDS[node.id]}
            return set(self.function(_home(module, node.id), node.id))
        if isinstance(node, ast.Attribute):
            return self._reached(node, module)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "plug_in":
            return self._plugged(node, module)
        return set()

    def _reached(self, node: ast.Attribute, module: str) -> set[str]:
        on = node.value.id if isinstance(node.value, ast.Name) else getattr(node.value, "attr", "")
        modules = [module] if on == "self" else MADE_ON.get(on.lstrip("_"), [])
        return set().union(*(self.function(other, node.attr) for other in modules))

    def _plugged(self, node: ast.Call, module: str) -> set[str]:
        path, name = node.args[:2]
        if isinstance(path, ast.Constant):
            return set(self.function(path.value, name.value))
        if module == "sluice.job":
            return set().union(
                *(self.function(doc, "read") for doc in _package("sluice.jobs.documents"))
            )
        if module == "sluice.agent.states.operate":
            known = [
                *_package("sluice.jobs.operations"),
                "sluice.files.place",
                "sluice.files.bundle",
            ]
            return set().union(*(self.function(one, "run") for one in known))
        return set()
