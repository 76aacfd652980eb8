"""The measurement on RV32: its scripts run, its output is read, and what is missing is said."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import callgrind, rv32, rv32_machine, rv32_port
from bench.numbers import Number
from sluice import debian, toolchain
from sluice.compile import FIRMWARE, compile_module
from sluice.device import romfs
from sluice.errors import SluiceError

USED = ("errors", "loading", "trust.p256", "transfer.base64", "transfer.json_block")
USED += ("transfer.json_learned",)

# --- what the machine says ----------------------------------------------------------------------

BANNER = b"MicroPython v1.25.0\r\n>>> \r\nraw REPL; CTRL-B to exit\r\n>OK"
END = b"\x04\x04>\r\nMicroPython v1.25.0\r\n>>> import machine; machine.reset()\r\n"


@pytest.mark.parametrize(
    ("output", "run"),
    [
        (b"\r\ninstructions 1234\r\n", rv32_machine.Run(1234, "")),
        (b"loaded\r\n3200\r\n\r\ninstructions 98\r\n", rv32_machine.Run(98, "3200")),
        (b"instructions none\r\n7\r\n\r\ninstructions 4\r\n", rv32_machine.Run(4, "7")),
    ],
    ids=["nothing", "a_number", "the_word_itself"],
)
def test_count_and_last_word_are_read(output, run):
    assert rv32_machine.parsed("script", BANNER + output + END) == run


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (BANNER + b"\x04Traceback\r\nMemoryError: \r\n" + END, "Traceback MemoryError:"),
        (BANNER + b"free 12\r\n", "free 12"),
        (b"qemu: no such machine\n", "qemu: no such machine"),
        (BANNER + b"\r\ninstructions -12\r\n" + END, "instructions -12"),
    ],
    ids=["traceback", "cut_off", "qemu", "wrapped"],
)
def test_run_that_did_not_end_is_an_error_with_its_last_words(output, words):
    with pytest.raises(SluiceError) as failed:
        rv32_machine.parsed("script", output)
    assert str(failed.value) == f"script failed on RV32: {words}"


def test_folder_is_taken_without_what_other_measurements_leave(tmp_path):
    for name in ("a.mpy", "sluice/b.mpy", "run.py.out", "valgrind-i386/libc.so", "x.elf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert rv32_machine.contents(tmp_path) == {"a.mpy": b"x", "sluice/b.mpy": b"x"}
    assert b"sluice" in romfs.pack(rv32_machine.contents(tmp_path))


# --- the scripts, and what becomes of their numbers ---------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The device modules that these scripts use."""
    made = tmp_path_factory.mktemp("rv32")
    for name in USED:
        file = f"sluice/{name.replace('.', '/')}"
        compile_module(FIRMWARE / f"{file}.py", made / f"{file}.mpy", f"{file}.py")
    return made


def scripts(folder: Path) -> Iterator[rv32.Measure]:
    """Those that bench/rv32.py has of its own."""
    yield from (rv32.parsing(folder, block) for block in rv32.BLOCKS)
    yield rv32.decoding(folder)
    yield from rv32.loading(folder, "transfer.json_block", "load0")


def test_scripts_do_what_they_count(folder, release):
    for measure in scripts(folder):
        said = [rv32_machine.on_i386(folder, name, counted=False) for name in measure.scripts]
        if measure.unit == "bytes":
            assert 2_000 < measure.value(lambda name, said=said: said[0]) < 8_000


def test_parser_is_fed_as_the_link_feeds_it():
    assert f"_BUFFER = const({rv32.READ:_})" in (FIRMWARE / "sluice/net/reader.py").read_text()


def test_script_that_fails_is_an_error_with_its_last_words(folder, release):
    rv32.written(folder, "broken", "print('hm')\nraise SystemExit(3)\n")
    with pytest.raises(SluiceError, match="run_broken.py failed on i386: hm"):
        rv32_machine.on_i386(folder, "run_broken.py", counted=False)


def test_number_is_the_difference_of_two_runs_by_what_the_second_does_more():
    runs = {"short": rv32_machine.Run(500, ""), "long": rv32_machine.Run(4_500, "")}
    assert rv32.Measure("a byte", ("short", "long"), 16).value(runs.get) == 250


def columns(measure: rv32.Measure, folder: Path) -> dict[str, float]:
    """The numbers of a row."""
    return {number.column: number.value for number in rv32.counted(measure, folder)}


@pytest.mark.parametrize("valgrind", [True, False])
def test_number_of_i386_stands_beside_it_where_something_counts(monkeypatch, tmp_path, valgrind):
    monkeypatch.setattr(callgrind, "available", lambda: valgrind)
    runs = {"a": rv32_machine.Run(10, "300"), "b": rv32_machine.Run(30, "300")}
    flash = {name: rv32_machine.Run(run.instructions // 2, "100") for name, run in runs.items()}
    double = {name: rv32_machine.Run(2 * run.instructions, "400") for name, run in runs.items()}
    monkeypatch.setattr(
        rv32_machine,
        "on_rv32",
        lambda folder, name, in_place=False: (flash if in_place else runs)[name],
    )
    monkeypatch.setattr(rv32_machine, "on_i386", lambda folder, name, counted: double[name])
    beside = {"i386": 40} if valgrind else {}
    made = []
    timed = rv32.Measure("x", ("a", "b"), before=lambda: made.append(1))
    assert columns(timed, tmp_path) == {"RV32": 20, **beside}
    assert made == [1]
    loaded = rv32.Measure("x", ("a", "b"), in_place=True)
    assert columns(loaded, tmp_path) == {"RV32": 20, **beside, "RV32, in flash": 10}
    weighed = rv32.Measure("x", ("a",), unit="bytes", in_place=True)
    assert columns(weighed, tmp_path) == {"RV32": 300, "i386": 400, "RV32, in flash": 100}


def test_table_and_file_have_each_number(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(rv32_port, "firmware", lambda: tmp_path)
    monkeypatch.setattr(toolchain, "qemu", lambda: tmp_path)
    monkeypatch.setattr(toolchain, "micropython", lambda arch: tmp_path)
    monkeypatch.setattr(toolchain, "version_of", lambda program: "1.26.1")
    two = [rv32.Measure("a byte", (), 8), rv32.Measure("it takes", ("a",), unit="bytes")]
    monkeypatch.setattr(rv32, "measures", lambda folder: two)
    found = {
        "a byte": [
            Number("rv32", "a byte", "RV32", 58.4, "instructions/byte"),
            Number("rv32", "a byte", "i386", 77.9, "instructions/byte"),
        ],
        "it takes": [
            Number("rv32", "it takes", "RV32", 3296, "bytes", False),
            Number("rv32", "it takes", "RV32, in flash", 1296, "bytes", False),
        ],
    }
    monkeypatch.setattr(rv32, "counted", lambda measure, folder: found[measure.name])
    assert rv32.main(["--json", str(tmp_path / "out.json")]) == 0
    printed = capsys.readouterr().out
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in printed.splitlines()]
    assert ["a byte", "58.4", "77.9", "0.75", "–"] in rows
    assert ["it takes", "3,296", "–", "–", "1,296"] in rows
    saved = json.loads((tmp_path / "out.json").read_text())["numbers"]
    assert [(entry["name"], entry["value"], entry["repeatable"]) for entry in saved] == [
        ("rv32 / a byte / RV32", 58.4, True),
        ("rv32 / a byte / i386", 77.9, True),
        ("rv32 / it takes / RV32", 3296, False),
        ("rv32 / it takes / RV32, in flash", 1296, False),
    ]
    assert {entry["unit"] for entry in saved} == {"instructions/byte", "bytes"}
    assert {entry["command"] for entry in saved} == {"make bench-rv32"}


# --- what is missing ----------------------------------------------------------------------------

APT = """#!/bin/sh
case "$*" in
*indextargets*) echo "http://mirror.invalid/debian bookworm" ;;
*MISSING*) exit 100 ;;
*" source "*)
    mkdir -p tree/ports/qemu tree/extmod/asyncio
    tar -cf micropython_1.orig.tar.x tree ;;
esac
"""
ADVICE = "set $MICROPYTHON_RV32 to a folder with a firmware.elf and asyncio/ of your own"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, and on PATH only what the test puts there; returns that folder."""
    for variable in ("MICROPYTHON_RV32", "QEMU_RISCV32", toolchain.ASKED):
        monkeypatch.delenv(variable, raising=False)
    path = tmp_path / "bin"
    path.mkdir()
    for tool in ("sh", "tar", "mkdir"):
        found = next(p for p in (Path("/bin", tool), Path("/usr/bin", tool)) if p.exists())
        (path / tool).symlink_to(found)
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setenv("SLUICE_CACHE", str(tmp_path / "cache"))
    return path


def program(file: Path, script: str = "#!/bin/sh\n") -> None:
    """An executable file."""
    file.write_text(script)
    file.chmod(0o755)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """The line with which the measurement ends; the code is 2, and nothing is left half made."""
    assert rv32.main([]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err.splitlines()[-1]


def test_no_make_is_said(bare, capsys):
    assert said(capsys) == f"bench: no make here to build MicroPython with: {ADVICE}"


def test_no_apt_is_said(bare, capsys, tmp_path):
    program(bare / "make")
    words = f"bench: no usable source of micropython here, and no apt to fetch one with: {ADVICE}"
    assert said(capsys) == words
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("source --download-only micropython", "source of micropython in trixie"),
        ("gcc-riscv64", "gcc-riscv64-unknown-elf for amd64 in trixie"),
        ("picolibc", "picolibc-riscv64-unknown-elf for amd64 in trixie"),
    ],
    ids=["source", "compiler", "library"],
)
def test_package_that_is_missing_is_said(bare, capsys, tmp_path, missing, words):
    program(bare / "make")
    program(bare / "dpkg")
    program(bare / "apt-get", APT.replace("MISSING", f'"{missing}"'))
    assert said(capsys) == f"bench: apt's mirror has no {words}: {ADVICE}"
    assert not list((tmp_path / "cache").iterdir())


def test_build_that_fails_is_said_with_its_last_words(bare, capsys, tmp_path):
    program(bare / "make", "#!/bin/sh\necho cc1: no such option >&2\nexit 2\n")
    program(bare / "dpkg")
    program(bare / "apt-get", APT.replace("MISSING", "nothing"))
    words = "MicroPython for RV32 cannot be built: cc1: no such option"
    assert said(capsys) == f"bench: {words}; {ADVICE}"
    assert not list((tmp_path / "cache").iterdir())


def test_no_simulator_is_said(bare, capsys, monkeypatch, tmp_path):
    (tmp_path / "firmware.elf").touch()
    monkeypatch.setenv("MICROPYTHON_RV32", str(tmp_path))
    words = "bench: no usable qemu-system-riscv here, and no apt to fetch one with:"
    assert said(capsys) == f"{words} set $QEMU_RISCV32 to a qemu-system-riscv of your own"


def test_variables_that_name_nothing_good_are_said(bare, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("MICROPYTHON_RV32", str(tmp_path))
    assert said(capsys) == f"bench: $MICROPYTHON_RV32: no firmware.elf in {tmp_path}"
    (tmp_path / "firmware.elf").touch()
    program(tmp_path / "qemu", "#!/bin/sh\necho QEMU emulator version 5.2.0\n")
    monkeypatch.setenv("QEMU_RISCV32", str(tmp_path / "qemu"))
    assert said(capsys) == f"bench: $QEMU_RISCV32: {tmp_path}/qemu is not QEMU 7 or later"


def test_programs_of_a_compiler_run_through_their_own_loader(tmp_path):
    lib = tmp_path / "usr/lib/x86_64-linux-gnu"
    lib.mkdir(parents=True)
    program(lib / "ld-linux-x86-64.so.2", '#!/bin/sh\nshift 3\necho "$@"\n')
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin/cc1", "\x7fELF")
    program(tmp_path / "bin/plugin.so", "\x7fELF")
    program(tmp_path / "bin/script")
    debian.wrap_all(tmp_path, "amd64", ["bin"])
    names = sorted(file.name for file in (tmp_path / "bin").iterdir())
    assert names == ["cc1", "cc1.real", "plugin.so", "script"]
    done = subprocess.run([tmp_path / "bin/cc1", "-O2"], capture_output=True, text=True)
    assert done.stdout.split() == [f"{tmp_path}/bin/cc1", f"{tmp_path}/bin/cc1.real", "-O2"]
