"""What boards on the network may ask of the bucket: the files whose URLs this cloud presigned.

Whoever is on the network can knock here, so nothing else is done: no call of AWS's, no listing,
and no other method than GET.
"""

from sluice.cloud.http.server import Handler, HTTPAnswer, HTTPRequest
from sluice.cloud.s3.wording import S3Error, address, refusal

SIGNATURES = ("X-Amz-Signature", "Signature")  # query arguments


class ForBoards:
    """A handler in front of the bucket, which proves the signature."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def __call__(self, request: HTTPRequest) -> HTTPAnswer:
        """The one entry."""
        try:
            where = address(request)
        except S3Error as error:
            return refusal(error)
        presigned = any(request.argument(name) is not None for name in SIGNATURES)
        signed = presigned and "authorization" not in request.headers
        if request.method != "GET" or not signed or not all(where):
            return refusal(S3Error("AccessDenied", "Access Denied"))
        return self._handler(request)
