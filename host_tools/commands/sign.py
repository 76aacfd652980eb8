"""Sign an image: prints the base64 signature that a job document carries.

ECDSA P-256 over SHA-256 in DER, or RSA PKCS#1 v1.5 over SHA-256, as the key is. With --new-key the
key is made first, and beside it the certificate that a board needs to check what it signs. With
--embed the image is written once more, its signature behind it, for orders which have no place
for one. Of a compressed W800 image the plain one inside is signed, and written.
"""

import argparse
from pathlib import Path

from sluice.image.plain import plain_file
from sluice.image.seal import sealed
from sluice.signing import digest, load_key, new_key, sign_base64, write_new


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("image", type=Path, metavar="IMAGE", help="what is signed")
    parser.add_argument("--key", type=Path, required=True, help="a PEM private key")
    parser.add_argument("--new-key", action="store_true", help="make KEY and its .crt first")
    parser.add_argument("--embed", type=Path, metavar="OUT", help="write the sealed image to OUT")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """`sign`."""
    digest(args.image)  # an image that cannot be read must not leave a key behind
    with plain_file(args.image) as image:
        if args.new_key:
            new_key(args.key)
        key = load_key(args.key)
        if args.embed:
            write_new(args.embed, sealed(image.read_bytes(), key))
        print(sign_base64(image, key))
