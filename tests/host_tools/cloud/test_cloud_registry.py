"""Things, certificates and what each call reads: nothing of a request is passed over."""

import json
import time

import pytest
import test_cloud_rest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from test_cloud_rest import PUMP, code_of, request_for

from sluice.cloud.http.paging import Pages
from sluice.cloud.http.reads import declared, reads, refuse_unread
from sluice.cloud.refusal import Refusal

served, iot = test_cloud_rest.served, test_cloud_rest.iot
BOM = "\ufeff"


# -- what is read ---------------------------------------------------------------------------------


def handlers(world) -> list:
    """(model of the operation, its handler) of every operation of the cloud's REST faces."""
    found = []
    for service in world.services:
        data = Loader().load_service_model(service.name, "service-2")
        model = ServiceModel(data, service.name)
        rows = service.operations.items()
        found += [(service.name, model.operation_model(name), handler) for name, handler in rows]
    return found


def test_every_handler_says_what_it_reads_by_names_of_the_model(served, world):
    rows = handlers(world)
    assert len(rows) > 60
    for _, model, handler in rows:
        for member in declared(handler):
            shape = model.input_shape
            for name in member.split("."):
                shape = getattr(shape, "member", shape)
                assert name in shape.members, f"{model.name} has no {member}"
                shape = shape.members[name]


def test_every_member_that_no_handler_reads_is_refused_by_its_name(served, world):
    refused = 0
    for service, model, handler in handlers(world):
        read = declared(handler) | Pages(service).members(model.name)
        for member in model.input_shape.members if model.input_shape else ():
            if any(name.partition(".")[0] == member for name in read):
                refuse_unread({member: {}}, read, model.name)
                continue
            with pytest.raises(Refusal, match=f"does not know {member} of {model.name}$"):
                refuse_unread({member: "x"}, read, model.name)
            refused += 1
    assert refused > 5


def test_member_within_a_member_is_refused_by_both_names():
    @reads("a", "b.c", "e.f")
    def handler() -> None:
        pass

    read = declared(handler)
    refuse_unread({"a": {"any": 1}, "b": {"c": 1}, "e": [{"f": 1}]}, read, "Call")
    with pytest.raises(Refusal, match="b.d, e.g, h of Call"):
        refuse_unread({"b": {"c": 1, "d": 1}, "e": [{"g": 1}, {"g": 2}], "h": 0}, read, "Call")


def test_call_with_a_member_that_is_not_read_changes_nothing(iot):
    given = {"jobId": "j", "targets": [PUMP], "document": "{}"}
    packages = ["arn:aws:iot:us-east-1:123456789012:package/p/version/v"]
    assert code_of(iot.create_job, **given, destinationPackageVersions=packages)
    assert iot.list_jobs()["jobs"] == []
    with pytest.raises(iot.exceptions.InvalidRequestException, match="overrideDynamicGroups"):
        iot.add_thing_to_thing_group(
            thingGroupName="g", thingName="pump", overrideDynamicGroups=True
        )


# -- things ---------------------------------------------------------------------------------------


def attributes(iot) -> dict:
    return iot.describe_thing(thingName="pump")["attributes"]


def test_update_thing_merges_replaces_and_removes_attributes(iot):
    def change(merge: bool, **values: str) -> None:
        payload = {"attributes": values, "merge": merge}
        iot.update_thing(thingName="pump", attributePayload=payload)

    change(True, a="1", b="2")
    change(True, b="3", a="")
    assert attributes(iot) == {"b": "3"}
    change(False, c="4")
    assert attributes(iot) == {"c": "4"}
    assert iot.describe_thing(thingName="pump")["version"] == 4


def test_update_thing_changes_the_type_and_minds_the_version(iot):
    iot.update_thing(thingName="pump", thingTypeName="small", expectedVersion=1)
    assert iot.describe_thing(thingName="pump")["thingTypeName"] == "small"
    given = {"thingName": "pump", "thingTypeName": "big", "expectedVersion": 1}
    assert code_of(iot.update_thing, **given) == "VersionConflictException"
    both = {"thingTypeName": "x", "removeThingType": True}
    assert code_of(iot.update_thing, thingName="pump", **both) == "InvalidRequestException"
    iot.update_thing(thingName="pump", removeThingType=True)
    assert "thingTypeName" not in iot.describe_thing(thingName="pump")
    assert code_of(iot.update_thing, thingName="none") == "ResourceNotFoundException"


def names(iot, **given) -> list[str]:
    pages = iot.get_paginator("list_things").paginate(**given, PaginationConfig={"PageSize": 2})
    return [row["thingName"] for page in pages for row in page["things"]]


def test_things_are_listed_by_attribute_by_its_beginning_and_by_type(iot):
    for name, site, kind in (("a", "north", "t"), ("b", "nor", "u"), ("c", "south", "t")):
        payload = {"attributes": {"site": site}}
        iot.create_thing(thingName=name, thingTypeName=kind, attributePayload=payload)
    by = {"attributeName": "site", "attributeValue": "nor"}
    assert names(iot) == ["a", "b", "c", "pump"]
    assert names(iot, **by) == ["b"]
    assert names(iot, **by, usePrefixAttributeValue=True) == ["a", "b"]
    assert names(iot, **by, usePrefixAttributeValue=True, thingTypeName="t") == ["a"]
    assert names(iot, thingTypeName="t") == ["a", "c"]
    assert code_of(iot.list_things, attributeValue="nor") == "InvalidRequestException"


def test_long_list_of_things_costs_each_page_its_own_things_alone(iot, world):
    with world.store.transaction():
        for number in range(10_000):
            world.things.create(f"t{number:05}", {"site": f"s{number % 7}"})
    read = []
    rows = world.store.rows

    def counting(sql, *values):
        found = rows(sql, *values)
        read.append(len(found))
        return found

    world.store.rows = counting
    start = time.process_time()
    pages = list(iot.get_paginator("list_things").paginate())
    spent_s = time.process_time() - start
    assert sum(len(page["things"]) for page in pages) == 10_001
    assert sum(read) <= 10_001 + 2 * len(pages)
    print(f"{spent_s:.2f} s of CPU")


def test_exclusive_principal_has_one_thing_alone(iot):
    iot.create_thing(thingName="valve")
    cert = iot.create_keys_and_certificate(setAsActive=True)["certificateArn"]
    exclusive = {"thingPrincipalType": "EXCLUSIVE_THING"}
    iot.attach_thing_principal(thingName="pump", principal=cert, **exclusive)
    code = code_of(iot.attach_thing_principal, thingName="valve", principal=cert)
    assert code == "InvalidRequestException"
    found = iot.list_thing_principals_v2(thingName="pump")["thingPrincipalObjects"]
    assert found == [{"principal": cert, "thingPrincipalType": "EXCLUSIVE_THING"}]
    other = {"thingPrincipalType": "NON_EXCLUSIVE_THING"}
    assert not iot.list_thing_principals_v2(thingName="pump", **other)["thingPrincipalObjects"]
    iot.detach_thing_principal(thingName="pump", principal=cert)
    iot.attach_thing_principal(thingName="valve", principal=cert)
    iot.attach_thing_principal(thingName="pump", principal=cert)
    code = code_of(iot.attach_thing_principal, thingName="pump", principal=cert, **exclusive)
    assert code == "InvalidRequestException"
    found = iot.list_principal_things_v2(principal=cert)["principalThingObjects"]
    assert [(one["thingName"], one["thingPrincipalType"]) for one in found] == [
        ("pump", "NON_EXCLUSIVE_THING"),
        ("valve", "NON_EXCLUSIVE_THING"),
    ]


def test_endpoint_of_a_type_that_is_not_here_is_refused(iot):
    for kind in ("iot:Data", "iot:Data-ATS", "iot:Jobs"):
        assert iot.describe_endpoint(endpointType=kind)["endpointAddress"] == f"host-of-{kind}"
    for kind in ("iot:CredentialProvider", "iot:Dataset", "mqtt"):
        with pytest.raises(iot.exceptions.InvalidRequestException, match=kind):
            iot.describe_endpoint(endpointType=kind)


# -- certificates ---------------------------------------------------------------------------------


def test_key_that_the_cloud_makes_is_rsa_of_2048_bits(iot):
    made = iot.create_keys_and_certificate(setAsActive=True)
    key = serialization.load_pem_private_key(made["keyPair"]["PrivateKey"].encode(), None)
    assert (type(key.public_key()), key.key_size) == (type(RSA.public_key()), 2048)
    public = x509.load_pem_x509_certificate(made["certificatePem"].encode()).public_key()
    assert public == key.public_key()


RSA = rsa.generate_private_key(65537, 2048)
KEYS = [RSA, *(ec.generate_private_key(curve()) for curve in (ec.SECP256R1, ec.SECP384R1))]
KEYS += [rsa.generate_private_key(65537, 3072), ec.generate_private_key(ec.SECP521R1())]
WEAK = [rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP256K1())]


@pytest.mark.parametrize("key", KEYS, ids=["rsa-2048", "p-256", "p-384", "rsa-3072", "p-521"])
def test_key_that_aws_certifies_is_certified(iot, key):
    made = iot.create_certificate_from_csr(certificateSigningRequest=request_for(key))
    certificate = x509.load_pem_x509_certificate(made["certificatePem"].encode())
    assert certificate.public_key() == key.public_key()


@pytest.mark.parametrize("key", WEAK, ids=["rsa-1024", "p-256k1"])
def test_key_that_aws_does_not_certify_is_refused(iot, key):
    code = code_of(iot.create_certificate_from_csr, certificateSigningRequest=request_for(key))
    assert code == "InvalidRequestException"


def test_certificate_tells_from_when_until_when_it_is_valid(iot):
    made = iot.create_keys_and_certificate()
    found = iot.describe_certificate(certificateId=made["certificateId"])["certificateDescription"]
    certificate = x509.load_pem_x509_certificate(found["certificatePem"].encode())
    assert found["validity"]["notBefore"] == certificate.not_valid_before_utc
    assert found["validity"]["notAfter"] == certificate.not_valid_after_utc


# -- byte order marks -----------------------------------------------------------------------------


def test_document_with_a_byte_order_mark_is_one_without(iot, world):
    iot.create_job(jobId="given", targets=[PUMP], document=f'{BOM}{{"operation": "echo"}}')
    world.put(f'{BOM}{{"operation": "echo"}}'.encode(), "job.json")
    source = f"{world.endpoint}/images/job.json"
    iot.create_job(jobId="read", targets=[PUMP], documentSource=source)
    for name in ("given", "read"):
        found = iot.get_job_document(jobId=name)["document"]
        assert json.loads(found) == {"operation": "echo"}
        assert not found.startswith(BOM)
    iot.create_policy(policyName="p", policyDocument=BOM + test_cloud_rest.POLICY)
    state = f'{BOM}{{"state": {{"reported": {{"a": 1}}}}}}'.encode()
    assert world.ask("shadow/update", state)[0][0] == "shadow/update/accepted"
    assert world.ask("jobs/get", f"{BOM}{{}}".encode())[0][0] == "jobs/get/accepted"
