"""Makes the device's half of the model so small that its heap is nearly what a chip's would be.

On a chip `machine` and `esp32` are C and cost the heap nothing. Here they are Python that runs in
place (romfs.py), whose names the interpreter still has to keep: it interns every name, in tables
that double. So before they are compiled, the sources are linked:

    modules that belong together become one; `from sim_x import …` of a part that is linked in goes
    integer constants are replaced by their values, across modules too; b"x" * n is a literal
    names that only the model knows are replaced by names that MicroPython has built in
    short texts, which would be interned, too, are decoded from bytes each time

The third is why a traceback through the model shows odd names. Local variables cost nothing and
public names (those without an underscore in machine, esp32, network, ntptime, and what their
callers may pass by keyword; those of sim_clock, which few boards load) stay. Arguments before a
`/` are the model's own, as they are in C.
"""

import ast
import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sluice.compile import compile_tree
from sluice.device.spare_names import Rename, new_names
from sluice.short_texts import ShortTexts, any_text

HERE = Path(__file__).parent
SHIMS = HERE / "shims"
PARTS = {  # module of the device → the files it is made of
    "sim_start": [SHIMS / "sim_start.py"],
    "sim_chip": [HERE / "norflash.py", SHIMS / "sim_chip.py", SHIMS / "sim_life.py"],
    "esp32": [HERE / "otadata.py", SHIMS / "esp32.py"],
    "machine": [SHIMS / "machine.py"],
    "sim_timers": [SHIMS / "sim_timers.py"],
    "network": [SHIMS / "network.py"],
    "sim_clock": [SHIMS / "sim_clock.py"],
    "ntptime": [SHIMS / "ntptime.py"],
    "sim_tty": [SHIMS / "sim_tty.py"],
    "sim_repl": [SHIMS / "sim_repl.py"],
    "sim_appimage": [HERE.parent / "image/appimage.py"],
    "w800": [SHIMS / "w800.py"],
}
NATIVE = {"esp32": ("esp32", "sim_appimage"), "w800": ("w800",)}  # chip → what only it has
PUBLIC = {
    SHIMS / f"{name}.py"
    for name in ("esp32", "machine", "network", "ntptime", "w800", "sim_clock", "sim_timers")
}


@functools.cache
def board_modules(native: str = "esp32") -> dict[str, bytes]:
    """{"esp32.mpy": compiled, …}: every module of a chip's model, made once per process."""
    with tempfile.TemporaryDirectory() as folder:
        sources = {}
        for module, text in link(native).items():
            sources[f"{module}.py"] = Path(folder, f"{module}.py")
            sources[f"{module}.py"].write_text(text, encoding="utf-8")
        compile_tree(sources, Path(folder, "compiled"))
        return {file.name: file.read_bytes() for file in Path(folder, "compiled").iterdir()}


def link(native: str = "esp32") -> dict[str, str]:
    """{module: its source as it is compiled for a device of that chip}."""
    others = {name for chip, names in NATIVE.items() if chip != native for name in names}
    parts = {module: paths for module, paths in PARTS.items() if module not in others}
    trees = {
        path: ast.parse(path.read_text(encoding="utf-8"))
        for paths in parts.values()
        for path in paths
    }
    numbers = {path: dict(_constants(path, tree)) for path, tree in trees.items()}
    constants = {
        module: {name: value for path in paths for name, value in numbers[path].items()}
        for module, paths in parts.items()
    }
    folded_names = {path: set(names) for path, names in numbers.items()}
    names = new_names(trees, folded_names, PUBLIC, set(parts))
    linked = {}
    for module, paths in parts.items():
        whole = ast.Module([line for path in paths for line in trees[path].body], [])
        folded = _Fold(module, constants).visit(whole)
        whole = ShortTexts(any_text).visit(Rename(names).visit(folded))
        linked[module] = ast.unparse(ast.fix_missing_locations(whole)) + "\n"
    return linked


# --- constants ---------------------------------------------------------------------------------


def _constants(path: Path, tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The integers in capitals that the device need not keep by name."""
    for line in tree.body:
        for name, value in _integers(line):
            if name.isupper() and (path not in PUBLIC or name.startswith("_")):
                yield name, value


def _integers(line: ast.stmt) -> list[tuple[str, int]]:
    """(name, integer) of `A = 1` or `A, B = 1, 2`; none of any other statement."""
    if not isinstance(line, ast.Assign):
        return []
    names, values = line.targets, [line.value]
    if isinstance(names[0], ast.Tuple) and isinstance(line.value, ast.Tuple):
        names, values = names[0].elts, line.value.elts
    pairs = list(zip(names, values, strict=False))
    simple = all(
        isinstance(name, ast.Name)
        and isinstance(value, ast.Constant)
        and isinstance(value.value, int)
        and not isinstance(value.value, bool)
        for name, value in pairs
    )
    return [(name.id, value.value) for name, value in pairs] if simple else []


class _Fold(ast.NodeTransformer):
    """Puts integers where constants were; drops them, and imports of what is linked in."""

    def __init__(self, module: str, constants: dict[str, dict[str, int]]):
        self._own = constants[module]
        self._all = constants
        self._parts = {f"sim_{path.stem.removeprefix('sim_')}" for path in PARTS[module]}
        self._imported: dict[str, dict[str, int]] = {}

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        if any(name in self._own for name, _ in _integers(node)):
            return None
        return self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> ast.AST:
        for name in node.names:
            self._imported[name.asname or name.name] = self._all.get(name.name, {})
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None if node.module in self._parts else node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(self._own[node.id]) if node.id in self._own else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Bytes times a number: as a literal they stay where the bytecode is, outside the heap."""
        self.generic_visit(node)
        match node:
            case ast.BinOp(
                ast.Constant(bytes() as unit), ast.Mult(), ast.Constant(int() as count)
            ):
                return ast.Constant(unit * count)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        if node.attr in self._imported.get(owner, {}):
            return ast.Constant(self._imported[owner][node.attr])
        return self.generic_visit(node)
