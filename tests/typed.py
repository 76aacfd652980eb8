"""`sluice …` as it is typed, and what came of it."""

import contextlib
import io
import subprocess
import sys

from patience import FUSE_S

from sluice import cli

SERVING = (["cloud", "run"], ["device", "run"], ["demo"])  # they mind signals


def sluice(*words: object) -> subprocess.CompletedProcess:
    """Run the command; what it printed and how it ended.

    In this process, as starting Python for each takes half a second, unless it would serve.
    """
    line = [str(word) for word in words]
    if line[:2] in SERVING or line[:1] in SERVING:
        command = [sys.executable, "-m", "sluice.cli", *line]
        return subprocess.run(command, capture_output=True, text=True, timeout=FUSE_S)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main(line)
        except SystemExit as ended:
            code = ended.code
    return subprocess.CompletedProcess(line, code, out.getvalue(), err.getvalue())


def good(*words: object) -> str:
    """What a command printed, which must have succeeded."""
    done = sluice(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def complaint(*words: object) -> str:
    """What a command complains of: exit code 1, nothing on stdout, one line on stderr."""
    done = sluice(*words)
    assert (done.returncode, done.stdout) == (1, ""), done
    assert done.stderr.startswith("sluice: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert len(done.stderr) > len("sluice: x\n")
    return done.stderr
