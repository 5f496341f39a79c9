"""Files that show what is wrong: sent before the flag, kept under their digest, and named by it."""

import asyncio
import hashlib
import re
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from services.feedback.api.roles import FLAGGERS
from services.feedback.files import Files
from shared.runtime.http import Call, reading, writing
from shared.runtime.problems import Problem
from shared.runtime.responses import Answer
from shared.runtime.service import Service
from shared.runtime.settings import Settings

PATH = "/v1/attachments"
_KIND = re.compile(r"[a-z0-9.+-]{1,64}/[a-z0-9.+-]{1,64}")
_DIGEST = re.compile("[0-9a-f]{64}")
_ANY = "application/octet-stream"
_FILE = {"schema": {"type": "string", "format": "binary"}}
_KEPT = {
    "type": "object",
    "required": ["sha256", "bytes", "media_type"],
    "properties": {"sha256": {"type": "string"}, "bytes": {"type": "integer"}, "media_type": {"type": "string"}},
}
_DOC = {
    "requestBody": {"required": True, "content": {_ANY: _FILE}},
    "responses": {"201": {"content": {"application/json": {"schema": _KEPT}}}},
}
_HEADERS = {
    "Content-Disposition": "attachment",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, immutable, max-age=31536000",
}


def add(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    files = attachments(service.settings)
    flagging, seeing = Depends(writing(service, *FLAGGERS)), Depends(reading(service))

    @routes.post(PATH, status_code=201, openapi_extra=_DOC)
    async def keep(request: Request, call: Annotated[Call, flagging]) -> JSONResponse:
        """Keep a file; the same bytes are kept once. 413 `attachment-too-large` beyond
        MUNIMENT_MAX_ATTACHMENT_BYTES."""
        data, most = await request.body(), service.settings.max_attachment_bytes
        if len(data) > most:
            raise Problem(413, "attachment-too-large", f"The file has {len(data)} bytes, more than {most}.")
        if not data:
            raise Problem(422, "empty-attachment", "The file has no bytes.")
        kind = request.headers.get("content-type", _ANY).partition(";")[0].strip().lower()
        digest = hashlib.sha256(data).hexdigest()
        told = {"sha256": digest, "bytes": len(data), "media_type": kind if _KIND.fullmatch(kind) else _ANY}
        if await known(files, digest) is None:
            await asyncio.to_thread(files.keep, digest, data)
            await asyncio.to_thread(files.keep, f"{digest}.json", orjson.dumps(told))
        return Answer(told, 201)

    @routes.get(PATH + "/{sha256}", response_class=Response)
    async def file(sha256: str, call: Annotated[Call, seeing]) -> Response:
        """The file, as it came."""
        told = await known(files, sha256) if _DIGEST.fullmatch(sha256) else None
        if told is None:
            raise Problem(404, "unknown-attachment", f"There is no attachment {sha256}.")
        data = await asyncio.to_thread(files.read, sha256)
        return Response(data, media_type=told["media_type"], headers=_HEADERS)


async def known(files: Files, sha256: str) -> dict[str, Any] | None:
    """What is known of a file that was kept whole: `sha256`, `bytes`, `media_type`."""
    try:
        return orjson.loads(await asyncio.to_thread(files.read, f"{sha256}.json"))
    except FileNotFoundError:
        return None


def attachments(settings: Settings) -> Files:
    """Where they lie."""
    return Files.of(settings, settings.attachments_url, "attachments")
