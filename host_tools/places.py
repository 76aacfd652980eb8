"""Where the files lie that are no modules of the host: firmware, boards and docs.

In a checkout they lie beside host_tools. A wheel has copies of them, which setup.py puts into the
package. What is compiled is the same in both: its short names depend on the words of these files.
"""

from pathlib import Path

HOST = Path(__file__).parent
COPIES = HOST / "checkout"  # in a wheel alone
ROOT = COPIES if COPIES.is_dir() else HOST.parent
FIRMWARE = ROOT / "firmware"
BOARDS = ROOT / "boards"
DOCS = ROOT / "docs"
COMMIT = "COMMIT"  # file of a wheel and of a source distribution: what they were built of
UNKNOWN = "unknown"
FUSE_S = 20  # for git, which answers at once


def commit(root: Path = ROOT) -> str:
    """The commit of a checkout, short, with a + when files differ; else what the build wrote."""
    import subprocess

    said = root / COMMIT
    if said.is_file():
        return said.read_text(encoding="ascii").strip()
    if not (root / ".git").exists():  # else git would tell of a checkout around this one
        return UNKNOWN
    command = ["git", "-C", root, "describe", "--always", "--exclude=*", "--dirty=+"]
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=FUSE_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return UNKNOWN
    return done.stdout.strip() or UNKNOWN


def sources(*suffixes: str) -> list[Path]:
    """All files with these suffixes that speak of the firmware: its own, boards', docs', ours."""
    found = [file for suffix in suffixes for file in HOST.rglob(f"*{suffix}")]
    own = [file for file in found if COPIES not in file.parents]
    folders = (FIRMWARE, BOARDS, DOCS)
    return own + [file for here in folders for end in suffixes for file in here.rglob(f"*{end}")]
