"""The seal: an image's own signature behind it."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from sluice import cli
from sluice.errors import SluiceError
from sluice.image import make_image
from sluice.image.seal import sealed, unsealed
from sluice.signing import load_key

IMAGE = bytes(range(256)) * 33


@pytest.mark.parametrize("kind", ["ECDSA", "RSA"])
def test_seal_holds_a_signature_over_all_before_it(kind):
    key = ec.generate_private_key(ec.SECP256R1())
    scheme = (ec.ECDSA(hashes.SHA256()),)
    if kind == "RSA":
        key = rsa.generate_private_key(65_537, 2048)
        scheme = (padding.PKCS1v15(), hashes.SHA256())
    data = sealed(IMAGE, key)
    size, algorithm, signature = unsealed(data)
    assert (data[:size], algorithm, len(data)) == (IMAGE, kind, size + len(signature) + 12)
    key.public_key().verify(signature, IMAGE, *scheme)


def test_seal_is_put_on_once():
    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(SluiceError, match="sealed already"):
        sealed(sealed(IMAGE, key), key)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"sluicesg",
        IMAGE,
        IMAGE + b"\0\0\1\0sluicesg",
        IMAGE + b"\3\0\3\0sluicesg",
        IMAGE + b"\3\0\1\1sluicesg",
        IMAGE + b"\1\2\1\0sluicesg",
        b"abc\3\0\1\0sluicesg",
    ],
)
def test_file_without_a_whole_seal_has_none(data):
    assert unsealed(data) is None


def test_image_sealed_by_the_command_is_shown_so(tmp_path: Path, capsys):
    plain, out, key = tmp_path / "a.bin", tmp_path / "b.bin", tmp_path / "k.key"
    plain.write_bytes(make_image("1.2.3", modules={}))
    words = ["sign", str(plain), "--key", str(key), "--new-key", "--embed", str(out)]
    assert cli.main(words) == 0
    assert unsealed(out.read_bytes())[0] == plain.stat().st_size
    capsys.readouterr()
    assert cli.main(["image", "show", str(out), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["version"] == "1.2.3" and shown["seal"].startswith("ECDSA, over the first ")
    assert cli.main([*words[:4], "--embed", str(out)]) == 1, "nothing is overwritten"
    assert load_key(key)
