"""A thing with all that it takes to speak for it, made and taken away through boto3.

The policy's text is docs/thing-policy.json, with the region and the account of the thing put in.
What was made when a later call fails is taken away again. AWS makes a detached certificate's
removal known only little by little, so that deleting is tried for a while.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from sluice.errors import SluiceError
from sluice.places import DOCS
from sluice.signing import PrivateKey, key_pem

POLICY = DOCS / "thing-policy.json"
POLICY_NAME = "sluice-device"
ENDPOINT = "iot:Data-ATS"
DELETE_S = 30  # for AWS to notice that nothing is attached any more


def provision(
    iot,
    name: str,
    policy: str,
    keys_by_aws: bool = False,
    groups: Sequence[str] = (),
    request: str | None = None,
) -> tuple[bytes, bytes | None]:
    """Make a thing, its certificate and its right to its own topics; (certificate, key), PEM.

    policy        name of the policy, made if it is missing
    keys_by_aws   the private key is made there and sent here; else it never leaves this machine
    groups        names of thing groups to put the thing into, made if they are missing
    request       a signing request, PEM, of a key that is elsewhere: then there is no key here
    Raises SluiceError for a thing or another policy of that name, ClientError of boto3.
    """
    if found(lambda: iot.describe_thing(thingName=name)):
        raise SluiceError(f"thing {name} exists already, nothing was changed")
    with ExitStack() as undo:
        thing = iot.create_thing(thingName=name)["thingArn"]
        undo.callback(quietly, iot.delete_thing, thingName=name)
        for group in groups:
            join(iot, name, group, undo)
        allow(iot, policy, policy_text(thing), undo)
        made, key = certify(iot, keys_by_aws, request)
        identity, arn = made["certificateId"], made["certificateArn"]
        undo.callback(quietly, iot.delete_certificate, certificateId=identity)
        undo.callback(
            quietly, iot.update_certificate, certificateId=identity, newStatus="INACTIVE"
        )
        iot.attach_policy(policyName=policy, target=arn)
        undo.callback(quietly, iot.detach_policy, policyName=policy, target=arn)
        iot.attach_thing_principal(thingName=name, principal=arn)
        undo.pop_all()
    return made["certificatePem"].encode(), key


def broker(iot) -> str:
    """The name of the broker that boards connect to."""
    return iot.describe_endpoint(endpointType=ENDPOINT)["endpointAddress"]


def imagined(region: str, exists: bool) -> dict[str, object]:
    """Answers for a rehearsal of `provision`; of things that exist, of all that comes later."""
    prefix = f"arn:aws:iot:{region}:YOUR-ACCOUNT"

    def thing(given: dict[str, str]) -> dict[str, str]:
        return {"thingArn": f"{prefix}:thing/{given['thingName']}"}

    def group(given: dict[str, str]) -> dict[str, str]:
        return {"thingGroupArn": f"{prefix}:thinggroup/{given['thingGroupName']}"}

    if not exists:
        missing = {"Error": {"Code": "ResourceNotFoundException", "Message": "not there"}}
        nothing = ClientError(missing, "rehearsal")
        missing = dict.fromkeys(("DescribeThing", "DescribeThingGroup", "GetPolicy"), nothing)
        return missing | {"CreateThing": thing}
    return {
        "DescribeThing": thing,
        "DescribeThingGroup": group,
        "ListThingPrincipals": {"principals": [f"{prefix}:cert/{64 * '0'}"]},
        "ListAttachedPolicies": {"policies": [{"policyName": POLICY_NAME}]},
        "GetPolicy": {"policyDocument": policy_text(f"{prefix}:thing/any")},
        "GetOTAUpdate": {
            "otaUpdateInfo": {"otaUpdateStatus": "CREATE_COMPLETE", "awsIotJobId": ""}
        },
    }


def found(call: Callable[[], object]) -> object | None:
    """What a call returns, None if it finds nothing."""
    try:
        return call()
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return None
        raise


def policy_text(thing_arn: str) -> str:
    """The policy for the things of an account and region, those of the thing's ARN."""
    _, partition, _, region, account, _ = thing_arn.split(":", 5)
    text = (
        POLICY.read_text(encoding="utf-8")
        .replace("YOUR-REGION", region)
        .replace("YOUR-ACCOUNT", account)
    )
    text = text.replace("arn:aws:", f"arn:{partition}:")
    return json.dumps(json.loads(text), separators=(",", ":"))


def join(iot, thing: str, group: str, undo: ExitStack) -> None:
    """Put a thing into a group; leaving a group is part of the thing's removal."""
    if not found(lambda: iot.describe_thing_group(thingGroupName=group)):
        iot.create_thing_group(thingGroupName=group)
        undo.callback(quietly, iot.delete_thing_group, thingGroupName=group)
    iot.add_thing_to_thing_group(thingGroupName=group, thingName=thing)


def allow(iot, name: str, text: str, undo: ExitStack) -> None:
    """Make the policy, or see that there is one that says just this."""
    there = found(lambda: iot.get_policy(policyName=name))
    if there is None:
        iot.create_policy(policyName=name, policyDocument=text)
        undo.callback(quietly, iot.delete_policy, policyName=name)
    elif json.loads(there["policyDocument"]) != json.loads(text):
        raise SluiceError(f"policy {name} exists and says something else: --policy another name")


def certify(iot, keys_by_aws: bool, request: str | None = None) -> tuple[dict, bytes | None]:
    """An active certificate as boto3 returns it, and its private key, PEM, unless that is
    elsewhere."""
    from cryptography.hazmat.primitives.asymmetric import ec

    if keys_by_aws:
        made = iot.create_keys_and_certificate(setAsActive=True)
        return made, made["keyPair"]["PrivateKey"].encode()
    key = None if request else ec.generate_private_key(ec.SECP256R1())
    pem = request or signing_request(key)
    made = iot.create_certificate_from_csr(certificateSigningRequest=pem, setAsActive=True)
    return made, key and key_pem(key)


def signing_request(key: PrivateKey) -> str:
    """A request for a certificate of that key, PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sluice")])  # AWS keeps its own
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return request.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def given_request(file: Path) -> str:
    """The user's signing request; what kind of key may be certified is the service's matter."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        text = file.read_text("ascii")
        genuine = x509.load_pem_x509_csr(text.encode()).is_signature_valid
    except OSError as error:
        raise SluiceError(f"cannot read {file}: {error.strerror}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise SluiceError(f"{file} is not a PEM signing request") from None
    if not genuine:
        raise SluiceError(f"{file} is not signed by its own key")
    return text


def remove(iot, name: str) -> None:
    """Delete a thing, the certificates that speak for it alone, and our policy if it is unused."""
    thing = iot.describe_thing(thingName=name)["thingArn"]
    policies: set[str] = set()
    gone: set[str] = set()  # AWS may list for a while what was taken away
    for arn in listed(iot, "list_thing_principals", "principals", thingName=name):
        iot.detach_thing_principal(thingName=name, principal=arn)
        if not set(listed(iot, "list_principal_things", "things", principal=arn)) - {name}:
            policies |= retire(iot, arn)
            gone.add(arn)
    patiently(lambda: iot.delete_thing(thingName=name))
    for policy in sorted(policies):
        left = set(listed(iot, "list_targets_for_policy", "targets", policyName=policy)) - gone
        if is_ours(iot, policy, thing) and not left:
            patiently(lambda policy=policy: iot.delete_policy(policyName=policy))


def retire(iot, arn: str) -> set[str]:
    """Delete a certificate; returns the names of the policies that it had."""
    attached = listed(iot, "list_attached_policies", "policies", target=arn)
    policies = {row["policyName"] for row in attached}
    for policy in sorted(policies):
        iot.detach_policy(policyName=policy, target=arn)
    identity = arn.rpartition("/")[2]
    iot.update_certificate(certificateId=identity, newStatus="INACTIVE")
    patiently(lambda: iot.delete_certificate(certificateId=identity))
    return policies


def is_ours(iot, policy: str, thing_arn: str) -> bool:
    """Whether a policy is one that `provision` made: by what it says."""
    there = found(lambda: iot.get_policy(policyName=policy))
    if there is None:
        return False
    with suppress(ValueError):
        return json.loads(there["policyDocument"]) == json.loads(policy_text(thing_arn))
    return False


def listed(iot, operation: str, member: str, **given: str) -> Iterator:
    """The items of all pages of a list."""
    for page in iot.get_paginator(operation).paginate(**given):
        yield from page.get(member, ())


def quietly(call: Callable[..., object], **given: str) -> None:
    """Take something away again; what made that necessary is what the user is told."""
    with suppress(ClientError, BotoCoreError):
        call(**given)


def patiently(call: Callable[[], object]) -> None:
    """Make a call that AWS refuses until it has noticed what was detached."""
    deadline = time.monotonic() + DELETE_S
    while True:
        try:
            call()
            return
        except ClientError as error:
            refused = error.response["Error"]["Code"]
            waiting = refused in ("DeleteConflictException", "InvalidRequestException")
            if not waiting or time.monotonic() > deadline:
                raise
        time.sleep(1)
