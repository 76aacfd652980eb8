"""What `--wait` and a look say of an execution that somebody deletes meanwhile."""

import pytest
from fleet_scene import Scene

from sluice.errors import SluiceError
from sluice.fleet import executions, watch
from sluice.fleet.clients import clients


@pytest.fixture
def scene(cloud) -> Scene:
    return Scene(cloud)


def delete(scene: Scene, job: str, thing: str) -> None:
    """Delete its first try."""
    which = {"jobId": job, "thingName": thing, "executionNumber": 1}
    scene.iot.delete_job_execution(**which, force=True)


def test_waiting_ends_where_the_rest_has_ended_and_the_deleted_one_counts_as_missed(scene, capsys):
    names = (scene.thing("deleted-queued"), scene.thing("deleted-begun"), scene.thing("stays"))
    scene.job("two-vanish", *names)
    scene.verdict("two-vanish", "deleted-begun", "IN_PROGRESS")
    seen = watch.Watch(clients(scene.cloud.state), "two-vanish", names)
    assert not seen.look()
    delete(scene, "two-vanish", "deleted-queued")
    delete(scene, "two-vanish", "deleted-begun")
    assert not seen.look() and list(seen.devices) == ["stays"]
    assert seen.headline == "two-vanish: 1 QUEUED, 2 deleted"
    scene.verdict("two-vanish", "stays", "SUCCEEDED")
    assert seen.look() and (seen.missed, seen.vanished) == (2, 2)
    with pytest.raises(SluiceError, match="2 of 3 did not succeed"):
        watch.summarise(seen)
    assert capsys.readouterr().out == "1 SUCCEEDED\n2 deleted\n"


def test_waiting_for_one_thing_ends_when_its_execution_is_deleted(scene):
    job = scene.job("alone-vanishes", scene.thing("alone"))
    seen = watch.Watch(clients(scene.cloud.state), job, ("alone",))
    assert not seen.look()
    delete(scene, job, "alone")
    assert seen.look() and seen.headline == f"{job}: 1 deleted"
    with pytest.raises(SluiceError, match="1 of 1 did not succeed"):
        watch.summarise(seen)


def test_deleted_one_of_a_group_that_nobody_knows_by_name_counts_too(scene):
    job = scene.job("of-a-group", scene.thing("member"), scene.thing("other"))
    seen = watch.Watch(clients(scene.cloud.state), job, None)
    assert not seen.look() and seen.missed == 0
    delete(scene, job, "member")
    seen.look()
    assert (seen.missed, list(seen.devices)) == (1, ["other"])


def test_execution_that_is_deleted_between_the_list_and_its_details_ends_nothing(
    scene, monkeypatch
):
    job = scene.job("between", scene.thing("just-now"), scene.thing("still-there"))
    for thing in ("just-now", "still-there"):
        scene.verdict(job, thing, "IN_PROGRESS", "so far")
    listed = executions.of_job

    def and_delete(iot, name):
        found = list(listed(iot, name))
        if any(one.thing == "just-now" for one in found):
            delete(scene, job, "just-now")
        return iter(found)

    monkeypatch.setattr(executions, "of_job", and_delete)
    seen = watch.Watch(clients(scene.cloud.state), job, ("just-now", "still-there"))
    assert not seen.look()
    assert seen.devices["still-there"].details == {"reason": "so far"}
    assert not seen.look() and list(seen.devices) == ["still-there"]


@pytest.mark.parametrize("read", ["job", "thing"])
def test_look_passes_over_what_is_deleted_meanwhile(scene, monkeypatch, read):
    job = scene.job(f"read-{read}", scene.thing(f"read-{read}"))
    for name in ("of_job", "of_thing"):
        listed = getattr(executions, name)

        def and_delete(client, which, listed=listed):
            found = list(listed(client, which))
            delete(scene, job, job)
            return found

        monkeypatch.setattr(executions, name, and_delete)
    found = getattr(scene.reader, read)(job)
    one = found.executions[0] if read == "job" else found.job
    assert (one.status, dict(one.details)) == ("QUEUED", {})
