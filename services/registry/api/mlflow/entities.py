"""Models and versions in MLflow's words. Source: MLflow 3.17, protos/model_registry.proto."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.registry.domain.model_state import ModelState, VersionState
from shared.events.registry import MlflowStage
from shared.log.tables import Row

Json = dict[str, Any]
_EMPTY = ("run_id", "description")
STAGES: tuple[MlflowStage, ...] = ("None", "Staging", "Production", "Archived")


def model_of(state: ModelState) -> Json:
    """A registered model with the newest version of each stage. Needs a state that is registered."""
    assert state.registered is not None  # noqa: S101
    name = state.registered.model
    said: Json = {
        "name": name,
        "creation_timestamp": millis(state.marks.created),
        "last_updated_timestamp": millis(state.marks.updated),
        "user_id": state.registered.owner,
        "description": state.marks.description,
        "tags": tags_of(state.marks.tags),
        "aliases": [{"alias": alias, "version": str(number)} for alias, number in sorted(state.aliases.items())],
        "latest_versions": [version_of(state, state.versions[number]) for number in latest(state)],
    }
    return without_nothing(said)


def latest(state: ModelState) -> list[int]:
    """The newest version of each stage, of those that are not retired."""
    newest = (state.newest_in(stage) for stage in STAGES)
    return sorted(number for number in newest if number is not None)


def version_of(state: ModelState, version: VersionState) -> Json:
    said = version.registered
    aliases = [alias for alias, number in sorted(state.aliases.items()) if number == said.version]
    marks = version.marks
    return without_nothing(
        {
            "name": said.model,
            "version": str(said.version),
            "creation_timestamp": millis(marks.created),
            "last_updated_timestamp": millis(marks.updated),
            "user_id": version.author,
            "current_stage": version.stage,
            "description": marks.description,
            "source": said.artifact.uri,
            "run_id": said.pipeline_run or "",
            "run_link": said.run_link,
            "status": "READY",
            "tags": tags_of(marks.tags),
            "aliases": aliases,
        }
    )


def model_row(row: Row, tags: Mapping[str, str], aliases: Sequence[Row], newest: Sequence[Json]) -> Json:
    """The same as `model_of`, of rows."""
    return without_nothing(
        {
            "name": row["name"],
            "creation_timestamp": millis(row["at"]),
            "last_updated_timestamp": millis(row["updated_at"] or row["at"]),
            "user_id": row["owner"],
            "description": row["description"],
            "tags": tags_of(tags),
            "aliases": [{"alias": one["alias"], "version": str(one["version"])} for one in aliases],
            "latest_versions": list(newest),
        }
    )


def version_row(row: Row, tags: Mapping[str, str], aliases: Sequence[Row]) -> Json:
    """The same as `version_of`, of rows."""
    return without_nothing(
        {
            "name": row["model"],
            "version": str(row["version"]),
            "creation_timestamp": millis(row["at"]),
            "last_updated_timestamp": millis(row["updated_at"] or row["at"]),
            "user_id": row["actor"],
            "current_stage": row["stage"] or "None",
            "description": row["description"] or "",
            "source": row["artifact"]["uri"],
            "run_id": row["pipeline_run"] or "",
            "run_link": row["run_link"] or "",
            "status": "READY",
            "tags": tags_of(tags),
            "aliases": [one["alias"] for one in aliases if one["version"] == row["version"]],
        }
    )


def tags_of(tags: Mapping[str, str]) -> list[Json]:
    return [{"key": key, "value": value} for key, value in sorted(tags.items())]


def millis(moment: datetime | None) -> int | None:
    """Milliseconds since 1970."""
    return None if moment is None else round(moment.timestamp() * 1_000)


def without_nothing(said: Json) -> Json:
    """MLflow leaves out what is not there, except that a run or a description that was never given is empty."""
    return {name: value for name, value in said.items() if value not in ("", None, []) or name in _EMPTY}
