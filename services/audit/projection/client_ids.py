"""The clients' own prediction ids of a batch."""
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false

from typing import Any

from shared.events import batches


def client_ids(table: bytes) -> list[dict[str, Any]]:
    """`row` and `prediction_id` of the rows of a prediction batch that bear an id of their own. Raises TornBatch."""
    batch = batches.read(table)
    if "prediction_id" not in batch.schema.names:
        return []
    names = batch.column("prediction_id").to_pylist()
    return [{"row": row, "prediction_id": name} for row, name in enumerate(names) if name is not None]
