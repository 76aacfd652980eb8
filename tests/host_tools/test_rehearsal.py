"""What --dry-run prints of the calls that it does not make."""

import json

from sluice.fleet.rehearsal import Rehearsal

POLICY = {"Version": "2012-10-17", "Statement": [{"Action": "iot:Connect", "Resource": "*"}]}


def rehearsed() -> tuple[Rehearsal, list[str]]:
    said: list[str] = []
    return Rehearsal("iot", say=said.append), said


def test_policy_stands_below_its_call_indented():
    iot, said = rehearsed()
    iot.create_policy(policyName="p", policyDocument=json.dumps(POLICY))
    call, below = said
    assert call == (
        'iot.CreatePolicy {"policyName": "p", "policyDocument": "<policyDocument below>"}'
    )
    assert json.loads(below) == POLICY
    lines = below.splitlines()
    assert all(line.startswith("  ") for line in lines)
    assert '    "Version": "2012-10-17",' in lines


def test_policy_is_printed_once():
    iot, said = rehearsed()
    for name in ("p", "q"):
        iot.create_policy(policyName=name, policyDocument=json.dumps(POLICY))
    iot.create_policy(policyName="r", policyDocument="{}")
    calls = [line for line in said if line.startswith("iot.")]
    assert "<policyDocument as above>" in calls[1] and "<policyDocument below>" in calls[2]
    assert [json.loads(line) for line in said if line not in calls] == [POLICY, {}]


def test_text_of_several_lines_stands_below_as_it_is():
    iot, said = rehearsed()
    iot.create_certificate_from_csr(certificateSigningRequest="-----BEGIN\nabc\n-----END\n")
    assert said[1] == "  -----BEGIN\n  abc\n  -----END"
    assert "\\n" not in said[0]


def test_other_texts_stay_in_the_call():
    iot, said = rehearsed()
    iot.create_job(jobId="a", targets=["b"], document="[1, 2]", description="12")
    assert said == [
        'iot.CreateJob {"jobId": "a", "targets": ["b"], "document": "[1, 2]", "description": "12"}'
    ]
