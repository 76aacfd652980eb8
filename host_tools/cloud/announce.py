"""What a cloud tells when it is ready: cloud.json, the configurations of its things, its owner."""

import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from sluice.cloud.http.sigv4 import Key
from sluice.cloud.names import ACCOUNT, REGION
from sluice.cloud.state import CONFIG_MODE, LOCAL_HOSTS, OWNERS, State, write_atomically
from sluice.errors import SluiceError


def announce(state: State, key: Key, port: int, endpoint: str) -> None:
    """Write cloud.json, which is there while the cloud is ready."""
    about = {
        "endpoint": "localhost",
        "mqtt_port": port,
        "http_endpoint": endpoint,
        "ca": str(state.root_ca.resolve()),
        "region": REGION,
        "account": ACCOUNT,
        "access_key": key.name,
        "secret_key": key.secret,
    }
    write_atomically(state.ready, json.dumps(about, indent=2) + "\n", OWNERS)


def ready(root: Path, port: int, endpoint: str, boards: str, missed: Sequence[int]) -> str:
    """That it is ready, in one line: where, for whom, and which ports were in use.

    boards  where boards on the network reach the bucket; "" when they are not served
    """
    text = f"cloud ready at mqtts://localhost:{port} and {endpoint}, state in {root}"
    if boards:
        host = urlsplit(boards).netloc.rpartition(":")[0]
        text += f"; boards reach mqtts://{host}:{port} and {boards}"
    return "; ".join((text, *(f"port {number} is in use" for number in missed)))


def exposed(boards: str, missed: Sequence[int]) -> str:
    """What the owner may not expect of a cloud that boards reach, in one line."""
    text = (
        f"everyone on the network can try {boards} and the MQTT port, and read what goes by HTTP"
    )
    if missed:
        ports = " and ".join(map(str, missed))
        text += f"; boards that were flashed for port {ports} do not find this cloud"
    return text


def unheard(address: str) -> str:
    """What the owner may have forgotten, where the last run listened for boards."""
    return (
        f"the last run listened at {address}: "
        f"give `--listen {address}` where boards have that address"
    )


def point_at(state: State, port: int) -> None:
    """Correct the port in the configurations of things that were created for another; those that
    were created before there was a list of hosts get theirs. All become their owner's alone."""
    for file in state.root.glob("things/*/config.json"):
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            config = None
        if not isinstance(config, dict):
            raise SluiceError(f"{file} is not a JSON object")
        here = {"download_hosts": list(LOCAL_HOSTS)} | config | {"port": port}
        file.chmod(CONFIG_MODE)
        if config.get("endpoint") == "localhost" and config != here:
            write_atomically(file, json.dumps(here, indent=2) + "\n", CONFIG_MODE)
