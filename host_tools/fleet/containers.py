"""The smaller images of a job, behind the image itself: deltas against older ones, one compressed.

None has a signature of its own: the board proves the image that it makes of one.
"""

import hashlib
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sluice.errors import SluiceError
from sluice.fleet.parts import Part
from sluice.image import smaller
from sluice.image.building import shown
from sluice.image.inspect import read_image
from sluice.image.plain import plain_image

DELTA = "/ota/{digest}.{size}"  # `fileName` of a delta: SHA-256 and bytes of what it builds on
COMPRESSED = "/ota/compressed"  # of a compressed image
_STRANGE = re.compile(r"[^A-Za-z0-9._-]")


@contextmanager
def containers(
    parts: Sequence[Part], older: Sequence[Path], compress: bool, anything: bool = False
) -> Iterator[list[Part]]:
    """What --from and --compress ask for. One that is not smaller than the image is left out.

    parts     of the job, the image first
    anything  do not judge whether the older images are whole, and for the same chip
    raises    SluiceError: no image among the parts; an older one that is of no use
    """
    if not older and not compress:
        yield []
        return
    if not parts or parts[0].kind != "image":
        raise SluiceError("--from and --compress are for an image, and you deploy none")
    image = parts[0].path.read_bytes()
    sources = _sources(image, older, anything)
    with TemporaryDirectory(prefix="sluice-smaller-") as folder:
        made = []
        for number, (path, source) in enumerate(sources):
            title, digest = f"delta from {path}", hashlib.sha256(source).hexdigest()
            with shown(title) as progress:
                data = smaller.delta(image, source, progress)
            place = DELTA.format(digest=digest, size=len(source))
            file = Path(folder, _STRANGE.sub("-", f"{path.stem}-{number}.delta"))
            made += _part(file, data, len(image), "delta", title, place)
        if compress:
            with shown("compressed") as progress:
                data = smaller.compressed(image, progress)
            file = Path(folder, _STRANGE.sub("-", f"{parts[0].path.stem}.compressed"))
            made += _part(file, data, len(image), "compressed", "compressed", COMPRESSED)
        yield made


def _part(file: Path, data: bytes, size: int, kind: str, title: str, place: str) -> list[Part]:
    """The part of a container; none, which is said, where it saves nothing."""
    if len(data) >= size:
        text = f"{title}: {len(data):,} bytes, not smaller than the image: left out"
        print(text, file=sys.stderr)
        return []
    file.write_bytes(data)
    made = f"{title}: {len(data):,} bytes, {100 * len(data) / size:.1f} % of the image"
    return [Part(file, kind, place, made, title)]


def _sources(image: bytes, older: Sequence[Path], anything: bool) -> list[tuple[Path, bytes]]:
    """The older images, each of use, and another than the others."""
    chip = None if anything else read_image(image).chip
    seen = {hashlib.sha256(image).digest(): "the image to deploy"}
    found = []
    for path in older:
        try:
            data = plain_image(path.read_bytes())
            theirs = None if anything else read_image(data).chip
        except OSError as error:
            raise SluiceError(f"cannot read the image {path}: {error.strerror}") from None
        except SluiceError as error:
            raise SluiceError(f"--from {path}: {error} (--any takes it all the same)") from None
        if theirs != chip:
            raise SluiceError(f"--from {path}: it is for {theirs}, and the image for {chip}")
        same = seen.setdefault(hashlib.sha256(data).digest(), str(path))
        if same != str(path) or path in [one for one, _ in found]:
            raise SluiceError(f"--from {path}: it is the same as {same}")
        found.append((path, data))
    return found
