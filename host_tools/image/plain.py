"""The image in a file, in the form in which it is signed and sent.

Usually that is the file. WinnerMicro's tools also make compressed images, `…_ota.img`. A board
does not take these, because it cannot look into them. Then it is the plain image inside.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sluice.errors import SluiceError
from sluice.image import w800
from sluice.image.inspect import Image, read_image
from sluice.terminal import remark


def plain_image(data: bytes) -> bytes:
    """The same of a file's bytes; SluiceError for a compressed image that is not whole."""
    try:
        return w800.unwrapped(data)
    except ValueError as error:
        raise SluiceError(f"the compressed image is bad: {error}") from None


def whole_image(path: Path) -> tuple[bytes, Image]:
    """The image that a file brings, which is whole, and what it is; SluiceError names the file."""
    try:
        data = plain_image(path.read_bytes())
        return data, read_image(data)
    except OSError as error:
        raise SluiceError(f"cannot read the image {path}: {error.strerror}") from None
    except SluiceError as error:
        raise SluiceError(f"{path}: {error}") from None


@contextmanager
def plain_file(path: Path) -> Iterator[Path]:
    """The file; of a compressed image a temporary one, which is told on stderr.

    raises  SluiceError: it cannot be read, or is a compressed image that is not whole
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SluiceError(f"cannot read the image {path}: {error.strerror}") from None
    plain = plain_image(data)
    if plain is data:
        yield path
        return
    remark(f"{path} is compressed: taken is the image inside, {len(plain):,} bytes")
    with tempfile.TemporaryDirectory(prefix="sluice-plain-") as folder:
        inside = Path(folder, path.name)
        inside.write_bytes(plain)
        yield inside
