"""The tables of the registry's views."""

from services.registry.views import gates, reviews, snapshots, webhooks
from shared.log.tables import ColumnType, Table

_OF_VERSION: dict[str, ColumnType] = {"model": "text", "version": "integer"}
_STATED: dict[str, ColumnType] = {"event_id": "text", "at": "timestamp", "actor": "text"}


def _table(
    name: str, key: tuple[str, ...], columns: dict[str, ColumnType], *indexes: tuple[str, ...], stated: bool = True
) -> Table:
    return Table(name, key, columns | (_STATED if stated else {}), indexes)


def _of_version(
    name: str, key: tuple[str, ...], columns: dict[str, ColumnType], *indexes: tuple[str, ...], stated: bool = True
) -> Table:
    return _table(name, key, _OF_VERSION | columns, *indexes, stated=stated)


_DATASET: dict[str, ColumnType] = {
    "name": "text",
    "version": "integer",
    "uri": "text",
    "digest": "text",
    "rows": "bigint",
    "columns": "json",
    "description": "text",
    "bytes": "bigint",
}
_DECISION: dict[str, ColumnType] = {
    "name": "text",
    "version": "integer",
    "question": "text",
    "owner": "text",
    "answers": "json",
    "goal": "text",
    "kpis": "json",
    "models": "json",
    "requires": "json",
    "authorities": "json",
    "description": "text",
    "dmn": "text",
    "dmn_sha256": "text",
}

TABLES: tuple[Table, ...] = (
    _table(
        "goals",
        ("name",),
        {"name": "text", "question": "text", "owner": "text", "decision": "text", "description": "text"},
    ),
    _table(
        "kpis",
        ("name",),
        {
            "name": "text",
            "goal": "text",
            "unit": "text",
            "direction": "text",
            "target": "double",
            "formula": "json",
            "description": "text",
        },
        ("goal",),
    ),
    _table("datasets", ("name",), _DATASET),
    _table("dataset_versions", ("name", "version"), _DATASET),
    _table(
        "pipelines",
        ("name",),
        {"name": "text", "description": "text", "technique": "text", "steps": "json", "code": "json"},
    ),
    _table(
        "runs",
        ("pipeline", "run"),
        {
            "pipeline": "text",
            "run": "text",
            "state": "text",
            "started_at": "timestamp",
            "ended_at": "timestamp",
            "inputs": "json",
            "outputs": "json",
            "code": "json",
            "parameters": "json",
        },
        ("run",),
        ("pipeline", "started_at"),
    ),
    _table(
        "models",
        ("name",),
        {
            "name": "text",
            "goal": "text",
            "owner": "text",
            "risk_tier": "text",
            "technique": "text",
            "description": "text",
            "newest_version": "integer",
            "updated_at": "timestamp",
            "retired": "text",
        },
        ("goal",),
        ("updated_at",),
    ),
    _of_version(
        "versions",
        ("model", "version"),
        {
            "artifact": "json",
            "framework": "text",
            "signature": "json",
            "params": "json",
            "metrics": "json",
            "training_data": "json",
            "pipeline_run": "text",
            "code": "json",
            "branch": "text",
            "parents": "json",
            "reference": "json",
            "reference_source": "json",
            "description": "text",
            "task": "text",
            "classes": "json",
            "protected": "json",
            "merged": "json",
            "run_link": "text",
            "stage": "text",
            "updated_at": "timestamp",
            "retired": "text",
        },
        ("model", "branch", "version"),
        ("model", "stage", "version"),
        ("model", "at"),
        ("model", "updated_at"),
        ("updated_at",),
        ("pipeline_run",),
    ),
    _of_version(
        "tags", ("model", "version", "key"), {"key": "text", "value": "text", "start": "text"}, ("key", "start")
    ),
    _of_version(
        "tag_changes",
        ("event_id",),
        {"key": "text", "before": "text", "after": "text", "reason": "text", "sequence": "bigint"},
        ("model", "version", "key", "sequence"),
    ),
    _of_version(
        "stage_moves",
        ("event_id",),
        {"before": "text", "after": "text", "reason": "text", "sequence": "bigint"},
        ("model", "version", "sequence"),
    ),
    _of_version("reference_samples", ("model", "version"), {"reference": "json"}, stated=False),
    _of_version(
        "evidence",
        ("id",),
        {"id": "text", "kind": "text", "name": "text", "passed": "boolean", "metrics": "json", "report": "text"},
        ("model", "version", "at"),
    ),
    _of_version(
        "approvals",
        ("id",),
        {
            "id": "text",
            "decision": "text",
            "role": "text",
            "comment": "text",
            "conditions": "json",
            "expires": "timestamp",
        },
        ("model", "version", "at"),
    ),
    _of_version(
        "gates",
        ("model", "version", "stage"),
        {"stage": "text", "allowed": "boolean", "rules": "json"},
    ),
    _table("aliases", ("model", "alias"), {"model": "text", "alias": "text", "version": "integer"}),
    _table(
        "alias_moves",
        ("event_id",),
        {
            "model": "text",
            "alias": "text",
            "before": "integer",
            "after": "integer",
            "reason": "text",
            "sequence": "bigint",
        },
        ("model", "alias", "sequence"),
    ),
    _table(
        "policies",
        ("stage", "version"),
        {
            "stage": "text",
            "version": "integer",
            "evidence": "json",
            "approvals": "json",
            "four_eyes": "boolean",
            "goal_required": "boolean",
        },
    ),
    _table(
        "column_sources",
        ("dataset", "version", "column", "source"),
        {"dataset": "text", "version": "integer", "column": "text", "source": "text", "target": "text"},
        ("target",),
        ("source",),
        stated=False,
    ),
    Table(
        "lineage_known",
        ("id",),
        {"id": "text", "kind": "text", "namespace": "text", "name": "text", "known": "json"},
        work=True,
        stays=True,
    ),
    _table("decisions", ("name",), _DECISION, ("goal",)),
    _table("decision_versions", ("name", "version"), _DECISION),
    _table(
        "informing",
        ("decision", "model"),
        {"decision": "text", "model": "text", "how": "text", "version": "integer"},
        ("model",),
        stated=False,
    ),
    _table(
        "lineage_reports",
        ("event_id",),
        {
            "kind": "text",
            "digest": "text",
            "namespace": "text",
            "name": "text",
            "run": "text",
            "state": "text",
            "body": "json",
        },
        ("at",),
        ("run", "at"),
        ("namespace", "name", "at"),
    ),
    *gates.TABLES,
    *webhooks.TABLES,
    *snapshots.TABLES,
    *reviews.TABLES,
)
