"""A cloud without broker and clock for protocol tests, and requests signed for its bucket."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sluice.cloud.http.sigv4 import Key
from sluice.cloud.jobs.api import JobCalls
from sluice.cloud.jobs.events_api import EventCalls
from sluice.cloud.jobs.executions import Executions
from sluice.cloud.jobs.executions_api import ExecutionCalls
from sluice.cloud.jobs.ota_updates import UpdateCalls
from sluice.cloud.jobs.over_mqtt import Jobs
from sluice.cloud.jobs.rollout import Rollouts
from sluice.cloud.jobs.templates_api import TemplateCalls
from sluice.cloud.message import Message
from sluice.cloud.names import arn
from sluice.cloud.s3.bucket import Bucket
from sluice.cloud.s3.presigned import Expander
from sluice.cloud.shadow.over_mqtt import Shadows
from sluice.cloud.state import State
from sluice.cloud.store import Store
from sluice.cloud.streams.api import StreamCalls
from sluice.cloud.streams.over_mqtt import Streams
from sluice.cloud.tags import TagCalls
from sluice.cloud.things.groups import Groups
from sluice.cloud.things.things import Things

KEY = Key("SLUICETESTS", "a secret that is none")  # of clouds without a state folder


class Signer(S3SigV4Auth):
    """botocore's signer for S3, of the payload that it is told."""

    def __init__(self, payload: str, key: Key) -> None:
        super().__init__(Credentials(*key), "s3", "us-east-1")
        self._payload = payload

    def payload(self, request: AWSRequest) -> str:
        return self._payload


def signed(method: str, url: str, payload: str, key: Key = KEY, **headers: str) -> dict[str, str]:
    """The headers of a request to S3, signed now."""
    request = AWSRequest(method, url, headers=headers)
    Signer(payload, key).add_auth(request)
    return dict(request.headers.items()) | {"Host": urlsplit(url).netloc}


class World:
    """The cloud's parts over a store, with a clock that only moves when told to."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_700_000_000.0
        self.state = State(folder)
        self.store = Store(self.state.database)
        self.bucket = Bucket(self.store, self.state.objects)
        self.endpoint = "http://127.0.0.1:1234"  # of the bucket, in presigned URLs
        expander = Expander(lambda: self.endpoint, lambda: self.now, lambda *where: None, KEY)
        self.executions = Executions(self.store, lambda: self.now, expander.document)
        self.jobs = Jobs(self.executions)
        self.streams = Streams(self.store, self.bucket)
        self.shadows = Shadows(self.store, lambda: self.now)
        self.sent: list[Message] = []
        self.job_calls = JobCalls(self.executions, self.bucket, self.sent.extend)
        self.execution_calls = ExecutionCalls(self.executions, self.sent.extend)
        self.template_calls = TemplateCalls(self.executions, self.bucket)
        self.tag_calls = TagCalls(self.store)
        self.event_calls = EventCalls(self.store, lambda: self.now)
        self.rollouts = Rollouts(self.executions)
        self.groups = Groups(self.store)
        self.stream_calls = StreamCalls(self.store, self.bucket, lambda: self.now)
        self.updates = UpdateCalls(
            self.store,
            self.bucket,
            self.stream_calls,
            self.job_calls,
            lambda: self.now,
            lambda bucket, key, version: f"signature of {bucket}/{key}@{version}",
        )
        self.things = Things(self.store, None)
        self.things.create("pump")

    def job(self, name: str, document: Any = None, thing: str = "pump", **more: Any) -> None:
        """Create a job for a thing."""
        given = {"jobId": name, "targets": [arn("thing", thing)]}
        given["document"] = json.dumps(document or {"operation": "echo"})
        self.job_calls.create(given | more)

    def ask(self, path: str, request: Any = None, thing: str = "pump") -> list[tuple[str, Any]]:
        """Publish on `$aws/things/<thing>/<path>`; returns the answers as (path, decoded)."""
        payload = request if isinstance(request, bytes) else json.dumps(request or {}).encode()
        service, *levels = path.split("/")
        handle = {
            "jobs": self.jobs.handle,
            "streams": self.streams.handle,
            "shadow": self.shadows.handle,
        }[service]
        return [self.read(message, thing) for message in handle(thing, levels, payload)]

    def read(self, message: Message, thing: str = "pump") -> tuple[str, Any]:
        """A message as (path, decoded JSON)."""
        return message.topic.removeprefix(f"$aws/things/{thing}/"), json.loads(message.payload)

    def notices(self) -> list[tuple[str, Any]]:
        """What the control plane's calls have published since the last look."""
        sent, self.sent[:] = [self.read(message) for message in self.sent], []
        return sent

    def meanwhile(self, happens: Callable[[], object]) -> None:
        """Have something happen just before the next transaction, as another thread may."""
        begin = self.store.transaction

        @contextmanager
        def late() -> Iterator[None]:
            del self.store.transaction
            happens()
            with begin():
                yield

        self.store.transaction = late

    def put(self, data: bytes, key: str = "image.bin", bucket: str = "images") -> str:
        """Store an object in a versioned bucket; returns its version."""
        self.bucket.create(bucket)
        self.bucket.set_versioning(bucket, "Enabled")
        return self.bucket.publish(bucket, key, self.bucket.write([data]), {})

    def stream(self, data: bytes, name: str = "flow", file: int = 0) -> None:
        """Make a stream of one file."""
        version = self.put(data)
        where = {"bucket": "images", "key": "image.bin", "version": version}
        files = [{"fileId": file, "s3Location": where}]
        self.stream_calls.create({"streamId": name, "files": files, "roleArn": "r" * 20})
        self.job(f"with-{name}", {"operation": "fetch", "stream": name})
        self.sent.clear()
