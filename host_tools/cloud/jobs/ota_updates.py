"""CreateOTAUpdate and its kin: one call that makes a stream and a job with an `afr_ota` document.

The stream is AFR_OTA-<uuid>, the job AFR_OTA-<update id>, as AWS names them. A file brings its
signature inline (custom code signing), or has it made. Standing in for AWS Signer there is the
cloud's own signing key, whatever profile is named, and nothing is written to the destination.
"""

import base64
import json
import uuid
from collections.abc import Callable
from sqlite3 import Row
from typing import Any

from sluice.cloud.http.reads import reads
from sluice.cloud.jobs.api import JobCalls, Notices
from sluice.cloud.jobs.life import LIVE
from sluice.cloud.names import JOB, arn
from sluice.cloud.refusal import exists, invalid, not_found
from sluice.cloud.s3.bucket import Bucket
from sluice.cloud.store import Store
from sluice.cloud.streams.api import StreamCalls
from sluice.cloud.tags import Tags

Parameters = dict[str, Any]

CERTIFICATE = "signer.crt"  # on the board, where a signing job names no other
EXPIRES_S = 1800  # of a presigned URL in an update's document
SIGNATURES = ("sig-sha256-ecdsa", "sig-sha256-rsa", "sig-sha1-rsa", "sig-sha1-ecdsa")
SHOWN = (  # members of the request that GetOTAUpdate repeats, besides the files
    "description",
    "targets",
    "protocols",
    "targetSelection",
    "awsJobExecutionsRolloutConfig",
    "awsJobPresignedUrlConfig",
    "additionalParameters",
)


class UpdateCalls:
    """OTA updates, over the calls for streams and jobs.

    signed  (bucket, key, version) → base64 of that object's ECDSA signature; None: no such object
    """

    def __init__(
        self,
        store: Store,
        bucket: Bucket,
        streams: StreamCalls,
        jobs: JobCalls,
        now: Callable[[], float],
        signed: Callable[[str, str, str | None], str | None],
    ) -> None:
        self._signed = signed
        self._store = store
        self._bucket = bucket
        self._streams = streams
        self._jobs = jobs
        self._now = store.clock(now)

    def operations(self) -> dict[str, Callable]:
        """{operation of the model: handler}."""
        # fmt: off
        return {
            "CreateOTAUpdate": self.create,
            "GetOTAUpdate":    self.get,
            "ListOTAUpdates":  self.list,
            "DeleteOTAUpdate": self.delete,
        }
        # fmt: on

    @reads(
        *("otaUpdateId", *SHOWN, "awsJobAbortConfig", "awsJobTimeoutConfig"),
        *("files", "roleArn", "tags"),
    )
    def create(self, given: Parameters) -> Parameters:
        name = given["otaUpdateId"]
        job, stream = f"AFR_OTA-{name}", f"AFR_OTA-{uuid.uuid4()}"
        if not JOB.fullmatch(job):
            raise invalid(
                f"otaUpdateId {name} is too long: the job id {job} exceeds 64 characters"
            )
        document = {"afr_ota": self._document(given, stream)}
        with self._store.transaction():
            if self._store.row("SELECT 1 FROM ota_updates WHERE id = ?", name):
                raise exists("OTA update", name, arn("otaupdate", name))
            self._streams.create(self._stream(given, stream))
            columns = {"job": job, "stream": stream, "request": json.dumps(given, default=text_of)}
            self._store.insert("ota_updates", id=name, created_at=self._now(), **columns)
            Tags(self._store).put(arn("otaupdate", name), given.get("tags", ()))
            _, notices = self._jobs.make(self._job(given, job, document))
        self._jobs.publish(notices)
        shape = {"otaUpdateId": name, "awsIotJobId": job, "awsIotJobArn": arn("job", job)}
        shape |= {"otaUpdateArn": arn("otaupdate", name)}
        return shape | {"otaUpdateStatus": "CREATE_PENDING"}

    def _stream(self, given: Parameters, stream: str) -> Parameters:
        files = [
            {"fileId": index, "s3Location": s3_location(entry)}
            for index, entry in enumerate(given["files"])
        ]
        text = f"Stream for OTAUpdate {given['otaUpdateId']}"
        shape = {"streamId": stream, "description": text, "files": files}
        return shape | {"roleArn": given["roleArn"]}

    def _job(self, given: Parameters, job: str, document: Parameters) -> Parameters:
        expiry = given.get("awsJobPresignedUrlConfig", {}).get("expiresInSec", EXPIRES_S)
        aborts = given.get("awsJobAbortConfig", {}).get("abortCriteriaList")
        shape = {
            "jobId": job,
            "targets": given["targets"],
            "document": json.dumps(document),
            "description": given.get("description"),
            "targetSelection": given.get("targetSelection", "SNAPSHOT"),
            "timeoutConfig": given.get("awsJobTimeoutConfig"),
            "jobExecutionsRolloutConfig": given.get("awsJobExecutionsRolloutConfig"),
            "abortConfig": {"criteriaList": aborts} if aborts else None,
            "presignedUrlConfig": {"expiresInSec": expiry, "roleArn": given["roleArn"]},
        }
        return {key: value for key, value in shape.items() if value is not None}

    def _document(self, given: Parameters, stream: str) -> Parameters:
        protocols = given.get("protocols") or ["MQTT"]
        files = [
            self._file(entry, index, "HTTP" in protocols)
            for index, entry in enumerate(given["files"])
        ]
        return {"protocols": protocols, "streamname": stream, "files": files}

    def _file(self, entry: Parameters, index: int, http: bool) -> Parameters:
        where = s3_location(entry)
        found = self._bucket.find(where["bucket"], where["key"], where.get("version"))
        if found is None:
            raise not_found("object", f"{where['bucket']}/{where['key']}")
        shape = {"filepath": entry.get("fileName", "/"), "filesize": found.size, "fileid": index}
        shape |= self._signing(entry.get("codeSigning", {}), where)
        if "fileType" in entry:
            shape["fileType"] = entry["fileType"]
        if http:
            address = f"https://s3.amazonaws.com/{where['bucket']}/{where['key']}"
            if "version" in where:
                address += f"?versionId={where['version']}"
            shape["update_data_url"] = f"${{aws:iot:s3-presigned-url:{address}}}"
            shape["auth_scheme"] = "aws.s3.presigned"
        return shape

    def _signing(self, code: Parameters, where: Parameters) -> Parameters:
        job = code.get("startSigningJobParameter")
        if job is None:
            return inline(code)
        certificate = signing_job(job)
        made = self._signed(where["bucket"], where["key"], where.get("version"))
        if made is None:
            raise invalid(f"{where['bucket']}/{where['key']} is empty: nothing to sign")
        return {"certfile": certificate, "sig-sha256-ecdsa": made}

    def _get(self, name: str) -> Row:
        row = self._store.row("SELECT * FROM ota_updates WHERE id = ?", name)
        if row is None:
            raise not_found("OTA update", name)
        return row

    @reads("otaUpdateId")
    def get(self, given: Parameters) -> Parameters:
        row = self._get(given["otaUpdateId"])
        request = json.loads(row["request"])
        shape = {key: request.get(key) for key in SHOWN} | {
            "otaUpdateFiles": [with_bytes(entry) for entry in request.get("files", ())],
            "otaUpdateId": row["id"],
            "otaUpdateArn": arn("otaupdate", row["id"]),
            "creationDate": row["created_at"],
            "lastModifiedDate": row["created_at"],
            "otaUpdateStatus": "CREATE_COMPLETE",
            "awsIotJobId": row["job"],
            "awsIotJobArn": arn("job", row["job"]),
        }
        return {"otaUpdateInfo": shape}

    @reads("otaUpdateStatus")
    def list(self, given: Parameters) -> Parameters:
        if given.get("otaUpdateStatus", "CREATE_COMPLETE") != "CREATE_COMPLETE":
            return {"otaUpdates": []}
        rows = self._store.rows("SELECT * FROM ota_updates ORDER BY created_at DESC, id")
        return {
            "otaUpdates": [
                {
                    "otaUpdateId": row["id"],
                    "otaUpdateArn": arn("otaupdate", row["id"]),
                    "creationDate": row["created_at"],
                }
                for row in rows
            ]
        }

    @reads("otaUpdateId", "deleteStream", "forceDeleteAWSJob")
    def delete(self, given: Parameters) -> None:
        row = self._get(given["otaUpdateId"])
        with self._store.transaction():
            notices = self._delete_job(row["job"], given.get("forceDeleteAWSJob", False))
            if given.get("deleteStream"):
                self._store.run("DELETE FROM streams WHERE id = ?", row["stream"])
            self._store.run("DELETE FROM ota_updates WHERE id = ?", row["id"])
        self._jobs.publish(notices)

    def _delete_job(self, name: str, force: bool) -> Notices:
        job = self._store.row("SELECT status FROM jobs WHERE id = ?", name)
        if job and job["status"] in LIVE and not force:
            raise invalid(f"job {name} is IN_PROGRESS: delete with forceDeleteAWSJob")
        return self._jobs.remove({"jobId": name, "force": force}) if job else []


def text_of(signature: bytes) -> str:
    """How a signature is stored, the one member of a request that is not of JSON."""
    return base64.b64encode(signature).decode()


def with_bytes(entry: Parameters) -> Parameters:
    """A stored file as it was given."""
    signature = entry.get("codeSigning", {}).get("customCodeSigning", {}).get("signature", {})
    if "inlineDocument" in signature:
        signature["inlineDocument"] = base64.b64decode(signature["inlineDocument"])
    return entry


def s3_location(entry: Parameters) -> Parameters:
    """Where an update's file lies; a Refusal for one that is a stream already."""
    where = entry.get("fileLocation", {}).get("s3Location")
    if not where or not where.get("bucket") or not where.get("key"):
        raise invalid("files[].fileLocation needs an s3Location with bucket and key")
    return where


def signing_job(job: Parameters) -> str:
    """The path of the signer's certificate on the board, of a job for AWS Signer that is whole."""
    if not job.get("signingProfileName"):
        raise invalid("startSigningJobParameter needs a signingProfileName: none is made here")
    if not job.get("destination", {}).get("s3Destination", {}).get("bucket"):
        raise invalid("startSigningJobParameter needs a destination with the bucket of S3")
    return job.get("signingProfileParameter", {}).get("certificatePathOnDevice") or CERTIFICATE


def inline(code: Parameters) -> Parameters:
    """The document's members for a signature; none for an update that is not signed."""
    if not code:
        return {"certfile": "/"}
    custom = code.get("customCodeSigning")
    if custom is None:
        raise invalid("no signing job of AWS Signer is known here: have one started")
    raw = custom.get("signature", {}).get("inlineDocument")
    if not raw:
        raise invalid("customCodeSigning.signature needs an inlineDocument")
    hashing = custom.get("hashAlgorithm", "SHA256").lower().replace("-", "")
    name = f"sig-{hashing}-{custom.get('signatureAlgorithm', 'ECDSA').lower()}"
    if name not in SIGNATURES:
        raise invalid(f"no such signature: {name}; one of {', '.join(SIGNATURES)}")
    certificate = custom.get("certificateChain", {}).get("certificateName") or "/"
    return {"certfile": certificate, name: text_of(raw)}
