"""The tree as C2SP tlog-tiles lays it out: `/checkpoint` and `/tile/…`; without an API key as far as settings say."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from services.audit.api.proofs.common import cosigned, newest
from services.audit.domain import tiles
from services.audit.domain.merkle import Range
from services.audit.domain.tiles import WIDTH, Asked, EntryTooLong, Tile
from services.audit.proofs.reading import TreeReader
from shared.runtime.http import reading
from shared.runtime.openapi import also
from shared.runtime.problems import Problem
from shared.runtime.service import Service

FOREVER = "max-age=31536000, immutable"
BINARY = "application/octet-stream"
_NOTE: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {BINARY: {"schema": {"type": "string", "format": "binary"}}}}
}


def _open(service: Service, from_: str) -> Callable[[Request], Awaitable[None]]:
    """Dependency of a GET that asks for no API key where `public_tree` is `from_` or more."""
    steps = ("nothing", "hashes", "entries")
    public = steps.index(service.settings.public_tree) >= steps.index(from_)
    read = reading(service)

    async def call(request: Request) -> None:
        if not public:
            await read(request)

    return call


def add_routes(router: APIRouter, service: Service) -> None:
    hashes, entries = Depends(_open(service, "hashes")), Depends(_open(service, "entries"))
    kept = "public" if service.settings.public_tree == "entries" else "private"

    @router.get("/checkpoint", response_class=Response, responses=_NOTE, dependencies=[hashes])
    async def checkpoint() -> Response:
        """The newest checkpoint: a signed note (c2sp.org/tlog-checkpoint), with the witnesses' cosignatures so far."""
        reader = TreeReader(service.store)
        note = await cosigned(reader, await newest(service, reader))
        headers = {"Cache-Control": "no-cache"}
        return Response(note, media_type="text/plain; charset=utf-8", headers=headers)

    @router.get(
        "/tile/entries/{number:path}",
        response_class=Response,
        responses={**_BYTES, **also(410)},
        dependencies=[entries],
    )
    async def bundle(number: str) -> Response:
        """A bundle of entries, each behind its length in 16 bits (big-endian), such as `/tile/entries/x001/000.p/7`.
        Where an entry is longer than that can tell, 404: `/v1/proofs/entries` has it."""
        asked = _asked(f"entries/{number}")
        await _width(service, asked)
        start = asked.number * WIDTH
        leaves = await TreeReader(service.store).leaves(Range(start, start + asked.width))
        if len(leaves) != asked.width:
            detail = f"The ledger holds {len(leaves)} of the {asked.width} entries of this bundle."
            raise Problem(410, "entries-lost", detail, "Run a verification; it tells which.")
        try:
            data = tiles.bundle([leaf.entry for leaf in leaves])
        except EntryTooLong as error:
            fix = f"Read it from /v1/proofs/entries?start={start + error.place}&limit=1."
            raise Problem(404, "entry-too-long", f"Leaf {start + error.place}: {error}.", fix) from error
        return Response(data, media_type=BINARY, headers={"Cache-Control": f"{kept}, {FOREVER}"})

    @router.get(
        "/tile/{level}/{number:path}", response_class=Response, responses={**_BYTES, **also(410)}, dependencies=[hashes]
    )
    async def tile(level: str, number: str) -> Response:
        """A tile of hashes (c2sp.org/tlog-tiles), such as `/tile/0/x001/x234/067` or, partial, `/tile/1/000.p/17`."""
        asked = _asked(f"{level}/{number}")
        await _width(service, asked)
        wanted = Tile(asked.level or 0, asked.number)
        found = await TreeReader(service.store).tiles([wanted])
        data = found.get(wanted, b"")[: asked.width * tiles.HASH]
        if len(data) != asked.width * tiles.HASH:
            raise Problem(
                410, "tree-damaged", "The tree lacks hashes of this tile that it signed.", "Run a verification."
            )
        return Response(data, media_type=BINARY, headers={"Cache-Control": f"public, {FOREVER}"})


def _asked(path: str) -> Asked:
    try:
        return tiles.parse_path(path)
    except ValueError as error:
        fix = "Paths are LEVEL/NUMBER[.p/WIDTH], the number in groups of three digits, as c2sp.org/tlog-tiles tells."
        raise Problem(404, "unknown-tile", f"{error}.", fix) from error


async def _width(service: Service, asked: Asked) -> None:
    """Raise 404 where the tree is not yet wide enough for what is asked."""
    row = await newest(service, TreeReader(service.store))
    held = tiles.width(Tile(asked.level or 0, asked.number), row["size"])
    if held < asked.width:
        detail = f"In the tree of {row['size']} leaves this tile is {held} wide, not {asked.width}."
        partial = Asked(asked.level, asked.number, held)
        fix = f"Ask for /tile/{tiles.path(partial)}." if held else "See /checkpoint for the size of the tree."
        raise Problem(404, "unknown-tile", detail, fix)
