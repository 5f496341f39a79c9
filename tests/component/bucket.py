"""A bucket as far as S3's clients need one to read, write in parts and list; `serving` it over HTTP.

What it answers is enough for pyarrow. The test of audit passes the same way against moto, whose pins conflict with
ours.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from xml.sax.saxutils import escape

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

XML = "application/xml"
WRITTEN = "Mon, 01 Jan 2024 00:00:00 GMT"


def bucket(objects: dict[str, bytes]) -> Starlette:
    """The bucket `data`, with path-style addresses, over these objects."""
    parts: dict[int, bytes] = {}

    async def answer(request: Request) -> Response:
        key, body = request.path_params["key"], await request.body()
        if "aws-chunked" in request.headers.get("content-encoding", ""):
            body = _unchunked(body)
        if request.method == "PUT":
            if "partNumber" in request.query_params:
                parts[int(request.query_params["partNumber"])] = body
            else:
                objects[key] = body
            return Response(headers={"ETag": '"x"'})
        if request.method == "POST" and "uploads" in request.query_params:
            parts.clear()
            return _xml("InitiateMultipartUploadResult", f"<Bucket>data</Bucket><Key>{key}</Key><UploadId>u</UploadId>")
        if request.method == "POST":
            objects[key] = b"".join(parts[number] for number in sorted(parts))
            return _xml(
                "CompleteMultipartUploadResult", f"<Bucket>data</Bucket><Key>{key}</Key><ETag>&quot;x&quot;</ETag>"
            )
        return _object(request, objects.get(key))

    async def listed(request: Request) -> Response:
        prefix, delimiter = request.query_params.get("prefix", ""), request.query_params.get("delimiter", "")
        found = sorted(key for key in objects if key.startswith(prefix))
        rest = [key for key in found if not delimiter or delimiter not in key[len(prefix) :]]
        folders = {prefix + key[len(prefix) :].partition(delimiter)[0] + delimiter for key in found if key not in rest}
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;x&quot;</ETag><Size>{len(objects[key])}</Size></Contents>"
            for key in rest
        )
        contents += "".join(f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in folders)
        count = f"<KeyCount>{len(rest)}</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>"
        return _xml("ListBucketResult", f"<Name>data</Name><Prefix>{escape(prefix)}</Prefix>{count}{contents}")

    methods = ["GET", "HEAD", "PUT", "POST"]
    return Starlette(routes=[Route("/data/{key:path}", answer, methods=methods), Route("/data", listed)])


def _object(request: Request, data: bytes | None) -> Response:
    if data is None:
        return Response(status_code=404)
    headers = {"ETag": '"x"', "Last-Modified": WRITTEN, "Content-Type": "binary/octet-stream"}
    if request.method == "HEAD":
        return Response(status_code=200, headers=headers | {"Content-Length": str(len(data))})
    first, _, last = request.headers.get("range", f"bytes=0-{len(data) - 1}").removeprefix("bytes=").partition("-")
    part = data[int(first) : int(last) + 1]
    return Response(part, 206, headers | {"Content-Range": f"bytes {first}-{last}/{len(data)}"})


def _unchunked(body: bytes) -> bytes:
    """What came in chunks, each behind its length in hex; a checksum follows the last."""
    whole = b""
    while True:
        head, _, body = body.partition(b"\r\n")
        length = int(head.partition(b";")[0], 16)
        if length == 0:
            return whole
        whole, body = whole + body[:length], body[length + 2 :]


def _xml(name: str, content: str) -> Response:
    namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
    text = f'<?xml version="1.0" encoding="UTF-8"?><{name} xmlns="{namespace}">{content}</{name}>'
    return Response(text, media_type=XML)


@contextmanager
def serving(objects: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The bucket at work, in a thread of its own, and the environment that leads there."""
    server = uvicorn.Server(uvicorn.Config(bucket(objects), port=0, log_config=None, lifespan="off"))
    listening = server.config.bind_socket()
    thread = Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listening.getsockname()[1]}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)
