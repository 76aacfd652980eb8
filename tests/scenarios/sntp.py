"""SNTP servers on this machine, as honest or hostile as a test wants them."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

from patience import FUSE_S

NOW_S = 1_790_000_000  # in September 2026
TO_1970_S = 2_208_988_800

Answer = Callable[[bytes], list[bytes]]


@contextlib.contextmanager
def server(answer: Answer) -> Iterator[str]:
    """A UDP server that sends what `answer` makes of each request; yields "host:port"."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(0.05)
        done = threading.Event()

        def run() -> None:
            while not done.is_set():
                with contextlib.suppress(TimeoutError):
                    request, peer = sock.recvfrom(1024)
                    for packet in answer(request):
                        sock.sendto(packet, peer)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield f"127.0.0.1:{sock.getsockname()[1]}"
        finally:
            done.set()
            thread.join(FUSE_S)


def packet(request: bytes, unix_s: int = NOW_S, first: int = 0x24, stratum: int = 2) -> bytes:
    """The answer of a server for which it is that time."""
    assert len(request) == 48 and request[0] == 0x23
    seconds = (unix_s + TO_1970_S) % 2**32
    return (
        bytes((first, stratum))
        + bytes(22)
        + request[40:]
        + bytes(8)
        + seconds.to_bytes(4, "big")
        + bytes(4)
    )
