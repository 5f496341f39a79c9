"""Files that show what is wrong: sent before the flag, kept under their digest, and named by it."""

import hashlib
import re
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from services.feedback.api.roles import FLAGGERS
from shared.log.tables import Put
from shared.runtime.commands import now
from shared.runtime.http import Answer, Call, reading, writing
from shared.runtime.problems import Problem
from shared.runtime.service import Service

PATH = "/v1/attachments"
_KIND = re.compile(r"[a-z0-9.+-]{1,64}/[a-z0-9.+-]{1,64}")
_ANY = "application/octet-stream"
_FILE = {"schema": {"type": "string", "format": "binary"}}
_DOC = {"requestBody": {"required": True, "content": {_ANY: _FILE}}}
_HEADERS = {
    "Content-Disposition": "attachment",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, immutable, max-age=31536000",
}


def add(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
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
        row = {"sha256": digest, "media_type": kind if _KIND.fullmatch(kind) else _ANY, "size": len(data)}
        async with service.store.begin() as unit:
            if await unit.get("attachments", digest) is None:
                await unit.apply([Put("attachments", {**row, "data": data, "at": now()})])
        return Answer({"sha256": digest, "bytes": len(data), "media_type": row["media_type"]}, 201)

    @routes.get(PATH + "/{sha256}", response_class=Response)
    async def file(sha256: str, call: Annotated[Call, seeing]) -> Response:
        """The file, as it came."""
        row = await service.store.get("attachments", sha256)
        if row is None:
            raise Problem(404, "unknown-attachment", f"There is no attachment {sha256}.")
        return Response(row["data"], media_type=row["media_type"], headers=_HEADERS)
