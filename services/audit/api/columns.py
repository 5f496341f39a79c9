"""Columns in the lineage graph: what a column was made of, what was made of it, and which versions take it as an input.

No table holds these edges: they are read, as of the question's two times, from what was said of data sets (each column
with the columns that it is made of), of runs (which version of a data set went in) and of versions (trained on which
data set, with an input of the column's name). A column is named `DATASET@VERSION.COLUMN`; without a version it is the
newest one's.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.audit.api.answers import data_of
from services.audit.api.graph import Walk, link
from services.audit.api.reader import EVENT_COLUMNS, Reader
from services.audit.projection.lineage.edges import (
    DERIVED,
    MEMBER,
    USED,
)
from shared.log.tables import Query, Row, equal
from shared.runtime.problems import not_found

KIND = "column"
ROLE_SOURCE, ROLE_COLUMN, ROLE_INPUT = "source", "column", "input"

Data = tuple[str, int]
"""A data set and its version."""
Name = tuple[str, int, str]
"""A column: data set, version, name."""


def node_of(column: Name) -> str:
    return f"{KIND}/{column[0]}@{column[1]}.{column[2]}"


def dataset_node(data: Data) -> str:
    return f"dataset/{data[0]}@{data[1]}"


@dataclass(slots=True)
class Columns:
    """The columns of all data sets as of a moment. `rows`: the event that stated each data set; `made_of`: the columns
    that each column is made of; `makes`: the other way round."""

    reader: Reader
    rows: dict[Data, Row] = field(default_factory=dict[Data, Row])
    told: dict[Name, dict[str, Any]] = field(default_factory=dict[Name, dict[str, Any]])
    made_of: dict[Name, list[Name]] = field(default_factory=dict[Name, list[Name]])
    makes: dict[Name, list[Name]] = field(default_factory=dict[Name, list[Name]])

    @classmethod
    async def read(cls, reader: Reader) -> "Columns":
        """All that was said of data sets; the newest `reader.limit` where there are more, and then it is truncated."""
        found = cls(reader)
        where = (*equal(type="DatasetRegistered"), *reader.moment.events)
        rows = await reader.store.find(Query("ledger", where, ("-time",), reader.limit + 1, columns=EVENT_COLUMNS))
        reader.truncated = reader.truncated or len(rows) > reader.limit
        for row in reversed(rows[: reader.limit]):
            data = data_of(row)
            one = (data["dataset"], data["version"])
            found.rows[one] = row
            found.told |= {(*one, column["name"]): column for column in data["columns"]}
        await found._connect()
        return found

    async def _connect(self) -> None:
        made = {(name, version) for (name, version, _), column in self.told.items() if column.get("sources")}
        inputs = await self._inputs(made)
        for column, told in self.told.items():
            for source in told.get("sources", ()):
                known = self._source(column, source, inputs.get(column[:2], {}))
                if known is not None:
                    self.made_of.setdefault(column, []).append(known)
                    self.makes.setdefault(known, []).append(column)

    async def _inputs(self, made: Collection[Data]) -> dict[Data, dict[str, int]]:
        """Data set → the version of each data set that the run which wrote it took in."""
        of = {dataset_node(data): data for data in made}
        written = [row for row in await self.reader.edges_from(sorted(of)) if row["role"] == "output"]
        used = await self.reader.edges_from({row["dst"] for row in written})
        taken: dict[str, dict[str, int]] = {}
        for row in used:
            if row["role"] == "input":
                name, _, version = row["dst"].partition("/")[2].rpartition("@")
                taken.setdefault(row["src"], {})[name] = int(version)
        return {of[row["src"]]: taken.get(row["dst"], {}) for row in written}

    def _source(self, column: Name, source: str, inputs: Mapping[str, int]) -> Name | None:
        """The column that a source names: of the version that the run took in, else of the newest that was stated when
        the data set was. None where no such column is on record."""
        for at, mark in enumerate(source):  # names of data sets may hold dots
            if mark != ".":
                continue
            name, rest = source[:at], source[at + 1 :]
            stated = self.rows[column[:2]]["recorded"]
            then = [one for one in self.rows if one[0] == name and self.rows[one]["recorded"] <= stated]
            versions = [inputs[name]] if name in inputs else sorted((one[1] for one in then), reverse=True)
            found = next(((name, one, rest) for one in versions if (name, one, rest) in self.told), None)
            if found is not None:
                return found
        return None

    def named(self, name: str) -> Name:
        """The column of this name. Raises Problem 404 with names nearby."""
        newest = sorted(self.told, key=lambda one: -one[1])
        found = [one for one in newest if name in (f"{one[0]}@{one[1]}.{one[2]}", f"{one[0]}.{one[2]}")]
        if not found:
            not_found(KIND, name, [node_of(one).partition("/")[2] for one in self.told])
        return found[0]

    def described(self, node: dict[str, Any]) -> dict[str, Any]:
        """A node of an answer with what was said of the column, and by which event."""
        column = next((one for one in self.told if node_of(one) == f"{node['kind']}/{node['id']}"), None)
        if column is None:
            return node
        row = self.rows[column[:2]]
        said = {"dataset": column[0], "version": column[1], **self.told[column]}
        stated = {"stated_by": row["actor"], "time": row["time"], "recorded": row["recorded"]}
        return {**node, "attributes": said, **stated, "events": [row["event_id"]]}

    def between(self, column: Name, source: Name) -> Row:
        """The edge from a column to one that it is made of."""
        return link(node_of(column), DERIVED, node_of(source), ROLE_SOURCE, self.rows[column[:2]])

    def member(self, column: Name) -> Row:
        """The edge from a data set to a column of it."""
        return link(dataset_node(column[:2]), MEMBER, node_of(column), ROLE_COLUMN, self.rows[column[:2]])


async def walked(columns: Columns, walk: Walk, start: Iterable[Name], depth: int, direction: str) -> None:
    """Walk from these columns: up to what they were made of, with the runs that wrote it; down to what was made of
    them, the versions that take it in, and what came of these. Each step, from column to column too, costs one of
    `depth`."""
    start = list(start)
    if direction in ("up", "both"):
        met = _step(columns, walk, start, depth, columns.made_of, up=True)
        await _written(columns.reader, walk, met)
    if direction in ("down", "both"):
        met = _step(columns, walk, start, depth, columns.makes, up=False)
        for left, group in _by_depth(met, depth).items():
            used = await taking(columns, group)
            new = walk.add(used, lambda row: row["src"]) if left > 0 else set[str]()
            await walk.down(new, left - 1)


def _step(
    columns: Columns, walk: Walk, start: Iterable[Name], depth: int, following: Mapping[Name, list[Name]], up: bool
) -> dict[Name, int]:
    """Follow columns to columns; answers each column met with its distance. Their data sets come along."""
    met = dict.fromkeys(start, 0)
    frontier = list(met)
    walk.add([columns.member(one) for one in frontier], lambda row: row["src"])
    for distance in range(1, depth + 1):
        fresh: dict[Name, int] = {}
        for one in frontier:
            for other in following.get(one, ()):
                edge = columns.between(one, other) if up else columns.between(other, one)
                walk.add([edge], lambda row: row["dst"] if up else row["src"])
                if other not in met:
                    fresh[other] = distance
        met |= fresh
        frontier = list(fresh)
        walk.add([columns.member(one) for one in frontier], lambda row: row["src"])
    return met


def _by_depth(met: Mapping[Name, int], depth: int) -> dict[int, list[Name]]:
    groups: dict[int, list[Name]] = {}
    for column, distance in met.items():
        groups.setdefault(depth - distance, []).append(column)
    return dict(sorted(groups.items(), reverse=True))


async def _written(reader: Reader, walk: Walk, met: Iterable[Name]) -> None:
    """The runs that wrote the data sets of these columns, and the pipelines of these runs."""
    data = {dataset_node(column[:2]) for column in met}
    runs = walk.add([row for row in await reader.edges_from(data) if row["role"] == "output"], lambda row: row["dst"])
    walk.add([row for row in await reader.edges_from(runs) if row["role"] == "plan"], lambda row: row["dst"])


async def taking(columns: Columns, group: Collection[Name]) -> list[Row]:
    """Edges from the versions that were trained on the data sets of these columns and have an input of their name."""
    data = {dataset_node(column[:2]): column[:2] for column in group}
    rows = await columns.reader.edges_to(sorted(data), source="version/")
    trained = [row for row in rows if row["role"] == "training_data"]
    about = await columns.reader.about({row["src"] for row in trained})
    wanted, found = set(group), list[Row]()
    for row in trained:
        signature = about[row["src"]]["attributes"].get("signature") or {}
        for one in signature.get("inputs", ()):
            column = (*data[row["dst"]], one["name"])
            if column in wanted:
                stated = {"event_id": row["event_id"], "time": row["valid_at"], "recorded": row["known_at"]}
                found.append(link(row["src"], USED, node_of(column), ROLE_INPUT, stated))
    return found


async def inputs_of(columns: Columns, version: str) -> list[Row]:
    """Edges from one version to the columns that its inputs come from."""
    data = [row["dst"] for row in await columns.reader.edges_from([version]) if row["role"] == "training_data"]
    group = [one for one in columns.told if dataset_node(one[:2]) in data]
    return [row for row in await taking(columns, group) if row["src"] == version]
