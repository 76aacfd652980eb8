"""`sluice completion`: what the shells themselves complete with what it prints."""

import os
import pty
import re
import select
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from patience import FUSE_S
from typed import good

from sluice.commands.completion import SHELLS

LINES = [  # typed so far → what the last word may become
    ("sluice dep", {"deploy"}),
    ("sluice job cr", {"create"}),
    ("sluice image comp", {"compress"}),
    ("sluice deploy --bucke", {"--bucket"}),
    ("sluice deploy --protocol ht", {"http"}),
    ("sluice bundle make --board SIM_E", {"SIM_ESP32"}),
    ("sluice completion z", {"zsh"}),
    ("sluice sign pic", {"picture.bin"}),
]
BASH = """
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_shtab_sluice sluice "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
ZSH = """
PROMPT= RPROMPT=
fpath=("$PWD" $fpath)
autoload -Uz compinit
compinit -u -D
shown() { print -r -- "<$BUFFER>" }
zle -N shown
bindkey '^X' shown
print -r -- "<ready>"
"""


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[str, Path]]:
    """A function: name of a shell → (program, file with its completions); the test is skipped
    where there is no such shell. The working folder is the test's, with a file picture.bin."""

    def find(name: str) -> tuple[str, Path]:
        program = shutil.which(name)
        if program is None:
            pytest.skip(f"no {name} here: apt-get install {name}")
        file = tmp_path / "_sluice"
        file.write_text(good("completion", name), encoding="utf-8")
        return program, file

    (tmp_path / "picture.bin").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return find


@pytest.mark.parametrize(("typed", "words"), LINES)
def test_bash_completes(shell, typed, words):
    program, file = shell("bash")
    command = [program, "--norc", "-c", BASH, "bash", file, *typed.split()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=FUSE_S)
    assert (done.stderr, set(done.stdout.split())) == ("", words)


@pytest.mark.parametrize(("typed", "words"), LINES)
def test_fish_completes(shell, typed, words):
    program, file = shell("fish")
    command = [program, "--no-config", "-c", f"source {file}; complete -C {typed!r}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=FUSE_S)
    assert done.stderr == ""
    assert {line.partition("\t")[0] for line in done.stdout.splitlines()} == words


def test_zsh_completes(shell):
    program, _ = shell("zsh")
    process, terminal = pty.fork()
    if not process:
        os.execve(program, [program, "-f", "-i"], os.environ | {"TERM": "dumb"})
    try:
        answer(terminal, f"{ZSH.strip()}\n", "\n<ready>")
        for typed, (word,) in LINES:
            whole = " ".join([*typed.split()[:-1], word])
            answer(terminal, f"{typed}\t\x18", f"<{re.escape(whole)} ?>")
            os.write(terminal, b"\x15")  # Ctrl-U: an empty line again
    finally:
        os.close(terminal)
        os.waitpid(process, 0)


def answer(terminal: int, typed: str, wanted: str) -> None:
    """Type something, and wait until the terminal shows what is wanted."""
    os.write(terminal, typed.encode())
    said, limit = "", time.monotonic() + FUSE_S
    while not re.search(wanted, said):
        assert time.monotonic() < limit, said
        if select.select([terminal], [], [], 1)[0]:
            said += os.read(terminal, 4096).decode(errors="replace").replace("\r\n", "\n")


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_script_is_one_that_the_shell_reads(shell, name):
    program, file = shell(name)
    done = subprocess.run([program, "-n", file], capture_output=True, text=True, timeout=FUSE_S)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", SHELLS)
def test_completions_name_no_other_place_than_the_help(name):
    begin = good("completion", name)[:400]
    assert "Copy this" not in begin and "AUTOMATICALLY" not in begin
    assert begin.startswith("#compdef sluice\n") == (name == "zsh")
