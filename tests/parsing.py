"""Messages of a stream as the device's parsers take them, in pieces of any size."""

from collections.abc import Callable
from pathlib import Path

DEVICE = """
import json, random, sys
from binascii import hexlify, unhexlify

messages, seed, module, before, after = sys.argv[1:]
before, after = unhexlify(before), unhexlify(after)
BlockParser = getattr(__import__(module, None, None, ("BlockParser",)), "BlockParser")
loads = getattr(BlockParser, "loads", json.loads)  # for the small messages of such a stream

class Receiver:
    def wanted(self, parser):
        return True
    def take(self, data):
        self.data += data

def judge(message, sizes):
    receiver.data = b""
    parser.reset()
    at = 0
    while at < len(message):
        end = min(at + sizes(), len(message))
        piece = bytearray(before + message[at:end] + after)
        parser.feed(piece, len(before), len(before) + end - at)
        at = end
    whole = parser.whole
    said = whole, parser.token, parser.file, parser.index, parser.length
    return said + (receiver.data if whole else b"",)

receiver = Receiver()
parser = BlockParser(receiver)
random.seed(int(seed))
for line in open(messages):
    message = bytearray(unhexlify(line.strip()))
    said = judge(message, lambda: 1_000_000)
    for sizes in (lambda: 1, lambda: random.randint(1, 9), lambda: 64):
        again = judge(message, sizes)
        assert again == said if said[0] else not again[0], (message, said)
    try:
        loads(message)
    except ValueError:
        pass
    whole, token, file, index, length, data = said
    token = hexlify(token or b"").decode()
    print(int(whole), token or "-", file, index, length, hexlify(data).decode() or "-")
"""


class Device:
    """A parser on MicroPython; `around` is what stands before and behind a piece in its buffer."""

    def __init__(
        self, micropython: Callable, folder: Path, module: str, around: tuple[bytes, bytes]
    ) -> None:
        self._micropython = micropython
        self._file = folder / "messages"
        self._words = (module, *(part.hex() for part in around))

    def judges(self, messages: list[bytes], arch: str, seed: int) -> list[tuple]:
        """(whole, token, file, index, length, data) of each, whatever pieces it comes in."""
        self._file.write_text("".join(message.hex() + "\n" for message in messages))
        words = (str(self._file), str(seed), *self._words)
        done = self._micropython(DEVICE, *words, arch=arch, heap="200k")
        found = [_said(line) for line in done.stdout.splitlines()]
        assert len(found) == len(messages)
        return found


def _said(line: str) -> tuple:
    whole, token, *numbers, data = line.split()
    numbers = [None if number == "None" else int(number) for number in numbers]
    token, data = (bytes.fromhex(text.strip("-")) for text in (token, data))
    return whole == "1", token, *numbers, data
