"""Searches of models and versions, page by page: the store finds what it can, the rest is looked at row by row."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from services.registry.api.known import ever
from services.registry.api.mlflow.entities import STAGES, Json, model_row, version_row
from services.registry.api.mlflow.filters import IS_PROMPT, Comparison, conditions, order, parse
from services.registry.api.mlflow.tagged import narrowed
from services.registry.domain.marks import MAX_TAGS
from shared.log.tables import Each, Query, Row, Where, enough, equal
from shared.runtime.paging import cursor_text, cursor_values
from shared.runtime.service import Service

CHUNK = 1_000
MAX_ALIASES = 10_000

_MODEL_KEYS: dict[str, type] = {"name": str}
_VERSION_KEYS: dict[str, type] = {"name": str, "version_number": int, "run_id": str, "source_path": str}
_MODEL_COLUMNS = {"name": "name"}
_VERSION_COLUMNS = {"name": "model", "version_number": "version", "run_id": "pipeline_run"}
_SHOWN = {
    "models": ("name", "owner", "description", "at", "updated_at"),
    "versions": ("actor", "stage", "description", "artifact", "pipeline_run", "run_link", "at", "updated_at"),
}
"""Columns that answers are made of, besides the key."""
_TIMES = {"creation_timestamp": "at", "last_updated_timestamp": "updated_at", "timestamp": "updated_at"}

Tags = Mapping[tuple[str, int], Mapping[str, str]]


async def search_models(
    service: Service, text: str, order_by: Sequence[str], size: int, token: str | None
) -> dict[str, Any]:
    """`{registered_models, next_page_token}`, by name where no order is given."""
    wanted = parse(text, _MODEL_KEYS)
    ordered = order(order_by, {"name": "name", **_TIMES})
    query = Query("models", (*equal(retired=None), *conditions(wanted, _MODEL_COLUMNS)), ordered)
    rows, following = await _found(service, _ended(query, "name"), wanted, size, token)
    names = [row["name"] for row, _ in rows]
    aliases = await _aliases(service, names)
    newest = await _newest(service, names, aliases)
    found = [model_row(row, tags, aliases.get(row["name"], []), newest.get(row["name"], [])) for row, tags in rows]
    return _answer("registered_models", found, following)


async def search_versions(
    service: Service, text: str, order_by: Sequence[str], size: int, token: str | None
) -> dict[str, Any]:
    """`{model_versions, next_page_token}`, those changed last first where no order is given."""
    wanted = parse(text, _VERSION_KEYS)
    ordered = order(order_by, {"name": "model", "version_number": "version", **_TIMES})
    query = Query(
        "versions", (*equal(retired=None), *conditions(wanted, _VERSION_COLUMNS)), ordered or ("-updated_at",)
    )
    query = _ended(_ended(query, "model"), "-version")
    rows, following = await _found(service, query, wanted, size, token)
    aliases = await _aliases(service, [row["model"] for row, _ in rows])
    found = [version_row(row, tags, aliases.get(row["model"], [])) for row, tags in rows]
    return _answer("model_versions", found, following)


def _answer(name: str, found: list[Json], following: str | None) -> dict[str, Any]:
    return {name: found} | ({"next_page_token": following} if following else {})


def _ended(query: Query, last: str) -> Query:
    """The query ordered by this column, too; rows that never changed (of views from before) are not found by time."""
    named = {one.removeprefix("-") for one in query.order}
    known = [ever(column)[0] for column in ("at", "updated_at") if column in named]
    where = (*query.where, *(one for one in known if one not in query.where))
    return replace(query, where=where, order=query.order if last.removeprefix("-") in named else (*query.order, last))


async def _found(
    service: Service, query: Query, wanted: Sequence[Comparison], size: int, token: str | None
) -> tuple[list[tuple[Row, Mapping[str, str]]], str | None]:
    """Rows with their tags that match, at most `size`, and the token of the page behind them, if there may be more."""
    table = service.store.tables[query.table]
    size = max(1, min(size, service.settings.mlflow_max_page))
    after = cursor_values(table, query, token) if token else None
    needed = [name.removeprefix("-") for name in query.order]
    query = replace(query, columns=tuple(dict.fromkeys([*_SHOWN[query.table], *needed, *table.key])))
    found: list[tuple[Row, Mapping[str, str]]] = []
    narrow = await narrowed(service, query, wanted)
    if narrow is None:
        return found, None
    query = narrow
    scanned = 0
    by_row = any(one.tag or one.key == "source_path" for one in wanted)
    chunk = CHUNK if by_row else min(enough(size + 1), CHUNK)
    while True:
        rows = await service.store.find(replace(query, limit=chunk, after=after))
        tags = await _tags(service, query.table, rows)
        for row in rows:
            name, version = _key(query.table, row)
            own = tags.get((name, version), {})
            if _matches(wanted, query.table, row, own, tags.get((name, 0), {})):
                if len(found) == size:
                    return found, cursor_text(table, query, found[-1][0])
                found.append((row, own))
        scanned += len(rows)
        if len(rows) < chunk:
            return found, None
        if scanned >= service.settings.mlflow_max_scanned:
            return found, cursor_text(table, query, rows[-1])
        after = cursor_values(table, query, cursor_text(table, query, rows[-1]))
        chunk = CHUNK


def _key(table: str, row: Row) -> tuple[str, int]:
    return (row["name"], 0) if table == "models" else (row["model"], row["version"])


def _matches(
    wanted: Sequence[Comparison], table: str, row: Row, tags: Mapping[str, str], model: Mapping[str, str]
) -> bool:
    """Prompts are found only by whoever asks for them, as MLflow does it."""
    prompts = [one for one in wanted if one.tag and one.key == IS_PROMPT]
    if not prompts and "true" in (tags.get(IS_PROMPT), model.get(IS_PROMPT)):
        return False
    return all(one.holds(tags.get(one.key) if one.tag else _attribute(table, row, one.key)) for one in wanted)


def _attribute(table: str, row: Row, key: str) -> Any:
    if key == "source_path":
        return row["artifact"]["uri"]
    if key == "run_id":
        return row["pipeline_run"] or ""
    if table == "models":
        return row[_MODEL_COLUMNS[key]]
    return row[_VERSION_COLUMNS[key]]


async def _tags(service: Service, table: str, rows: Sequence[Row]) -> Tags:
    """Tags of these models, or of these versions and their models (as version 0)."""
    keys = {_key(table, row) for row in rows}
    keys |= {(name, 0) for name, _ in keys}
    if not keys:
        return {}
    each = Each((("model", "="), ("version", "=")), tuple(sorted(keys)))
    found: dict[tuple[str, int], dict[str, str]] = {}
    for row in await service.store.find(Query("tags", limit=MAX_TAGS, each=each)):
        found.setdefault((row["model"], row["version"]), {})[row["key"]] = row["value"]
    return found


async def _aliases(service: Service, names: Sequence[str]) -> dict[str, list[Row]]:
    if not names:
        return {}
    found: dict[str, list[Row]] = {}
    where = (Where("model", "in", sorted(set(names))),)
    for row in await service.store.find(Query("aliases", where, limit=MAX_ALIASES)):
        found.setdefault(row["model"], []).append(row)
    return found


async def _newest(
    service: Service, names: Sequence[str], aliases: Mapping[str, Sequence[Row]]
) -> dict[str, list[Json]]:
    """Of each model the newest version of each stage. Asked for as a range of one stage and in its order, so that no
    plan can go through all versions of a model in search of a stage in which there is none."""
    if not names:
        return {}
    groups = tuple((name, stage, stage) for name in names for stage in STAGES)
    each = Each((("model", "="), ("stage", ">="), ("stage", "<=")), groups)
    rows = await service.store.find(Query("versions", equal(retired=None), ("-stage", "-version"), 1, each=each))
    tags = await _tags(service, "versions", rows)
    found: dict[str, list[Json]] = {}
    for row in sorted(rows, key=lambda one: one["version"]):
        own = tags.get((row["model"], row["version"]), {})
        found.setdefault(row["model"], []).append(version_row(row, own, aliases.get(row["model"], [])))
    return found
