"""Searches by a tag with a given value: the few models or versions that bear it, instead of looking at all rows."""

from collections.abc import Sequence
from dataclasses import replace

from services.registry.api.mlflow.filters import IS_PROMPT, Comparison
from services.registry.projection import tag_start
from shared.log.tables import Query, Where, enough, equal
from shared.runtime.service import Service

FEW = 1_000
"""A value that more bear than these narrows nothing: going through rows finds them soon."""


async def narrowed(service: Service, query: Query, wanted: Sequence[Comparison]) -> Query | None:
    """The query, asked of those alone that bear a tag asked for, where they are few; None where nobody does. Whoever
    asks still compares each row: two of these may bear it in versions of the same number."""
    named = [one for one in query.where if one.column in ("name", "model") and one.operator in ("=", "in")]
    of_versions = query.table == "versions"
    for one in wanted:
        if not one.tag or one.comparator != "=" or one.key == IS_PROMPT:
            continue
        if await service.store.find(Query("tags", equal(key=one.key, start=None), limit=1)):
            continue  # set before views knew how values begin, and not rebuilt since
        of = (Where("model", found.operator, found.value) for found in named)
        kind = Where("version", ">" if of_versions else "=", 0)
        where = (*equal(key=one.key, start=tag_start(str(one.value))), *of, kind)
        columns = ("model", "version", "value")
        rows = await service.store.find(Query("tags", where, limit=enough(FEW), columns=columns))
        if len(rows) >= enough(FEW):
            continue
        bearing = [row for row in rows if row["value"] == one.value]
        if not bearing:
            return None
        models = sorted({row["model"] for row in bearing})
        narrow = [Where("model" if of_versions else "name", "in", models)]
        if of_versions:
            narrow.append(Where("version", "in", sorted({row["version"] for row in bearing})))
        return replace(query, where=(*query.where, *narrow))
    return query
