"""The shadow of a scene's thing, as its operator reads and writes it."""

import json

import boto3
from botocore.exceptions import ClientError
from patience import FUSE_S
from stage import Cloud, Stage, soon


def data(cloud: Cloud):
    """boto3's client for shadows."""
    about = cloud.state.running()
    return boto3.client(
        "iot-data",
        endpoint_url=about["http_endpoint"],
        region_name=about["region"],
        aws_access_key_id=about["access_key"],
        aws_secret_access_key=about["secret_key"],
    )


def state(scene: Stage, name: str = "") -> dict:
    """The shadow's state; {} when there is none."""
    words = {"thingName": scene.name} | ({"shadowName": name} if name else {})
    try:
        answer = data(scene.cloud).get_thing_shadow(**words)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ResourceNotFoundException"
        return {}
    return json.loads(answer["payload"].read())["state"]


def reported(scene: Stage, name: str = "") -> dict:
    """What the board said that it is."""
    return state(scene, name).get("reported", {})


def desire(scene: Stage, settings: dict, name: str = "") -> None:
    """Desire settings, as an operator does."""
    words = {"thingName": scene.name} | ({"shadowName": name} if name else {})
    payload = json.dumps({"state": {"desired": {"settings": settings}}})
    data(scene.cloud).update_thing_shadow(**words, payload=payload)


def settled(scene: Stage, key: str, value: object, name: str = "") -> dict:
    """What is reported, once it has that setting."""
    soon(lambda: reported(scene, name).get("settings", {}).get(key) == value, FUSE_S)
    return reported(scene, name)
