"""A small world as events at places in the log, for the tests of audit."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from shared.events import batches, deployer, feedback, monitor, registry
from shared.events.catalog import topic_of
from shared.events.codec import decode, encode
from shared.events.envelope import BatchPayload, Event, Payload
from shared.log.records import Record
from shared.log.tables import Put, Row

DAY0 = datetime(2013, 1, 1, tzinfo=UTC)
ARTIFACT = registry.Artifact(uri="external:x", sha256="ab" * 32)
SIGNATURE = registry.Signature(inputs=(), outputs=())


def day(number: float) -> datetime:
    return DAY0 + timedelta(days=number)


def event_id(number: int) -> str:
    return f"01890a5d-ac96-774b-bcce-{number:012x}"


def traffic(champion: int, *challengers: int, shadows: tuple[int, ...] = ()) -> deployer.Traffic:
    shares = tuple(deployer.Share(version=version, percent=10.0) for version in challengers)
    return deployer.Traffic(champion=champion, challengers=shares, shadows=shadows)


def deployed(champion: int = 1) -> deployer.Deployed:
    return deployer.Deployed(
        deployment="late",
        model="flights",
        version=champion,
        environment="production",
        runtime=deployer.Runtime(kind="external"),
        artifact=ARTIFACT,
        traffic=traffic(champion),
    )


def changed(before: deployer.Traffic, after: deployer.Traffic) -> deployer.TrafficChanged:
    return deployer.TrafficChanged(deployment="late", model="flights", before=before, after=after)


def event(
    number: int,
    payload: Payload,
    subject: str,
    sequence: int,
    *,
    happened: float,
    recorded: float | None = None,
    actor: str = "ana",
    table: pa.RecordBatch | None = None,
) -> Event:
    """An event; `happened` and `recorded` in days after DAY0."""
    return Event(
        id=event_id(number),
        source=f"/muniment/{payload.OWNER}",
        subject=subject,
        time=day(happened),
        sequence=sequence,
        actor=actor,
        data=payload,
        recorded=day(happened if recorded is None else recorded),
        table=batches.write(table) if table is not None else None,
    )


def stored(event: Event, partition: int = 0, offset: int = 0) -> Record:
    """The event as the log holds it."""
    outgoing = encode(event)
    assert event.recorded is not None
    topic = topic_of(event.data)
    return Record(topic, partition, offset, outgoing.key, outgoing.headers, outgoing.value, event.recorded)


def folded(records: Iterable[Record]) -> dict[str, list[Row]]:
    """Table → rows that the fold makes of these records."""
    from services.audit.projection import project

    rows: dict[str, list[Row]] = {"ledger": [], "edges": [], "prediction_ids": []}
    for record in records:
        for change in project(decode(record), record):
            assert isinstance(change, Put)
            rows[change.table].append(change.row)
    return rows


def edges(payload: Payload, *, subject: str = "s", table: pa.RecordBatch | None = None) -> set[tuple[str, ...]]:
    """(source, relation, role, destination) of all that one event states as present."""
    sequence = 0 if isinstance(payload, BatchPayload) else 1
    record = stored(event(1, payload, subject, sequence, happened=1, table=table))
    rows = folded([record])["edges"]
    return {(row["src"], row["relation"], row["role"], row["dst"]) for row in rows if row["present"]}


def node(payload: Payload, *, table: pa.RecordBatch | None = None) -> str:
    sequence = 0 if isinstance(payload, BatchPayload) else 1
    return folded([stored(event(1, payload, "s", sequence, happened=1, table=table))])["ledger"][0]["node"]


def predictions(ids: list[str] | None = None) -> pa.RecordBatch:
    columns = {
        "at": pa.array([day(5), day(5)], batches.TIMESTAMP),
        "feature.hour": pa.array([7.0, 23.0]),
        "output.probability": pa.array([0.1, 0.9]),
    }
    return pa.record_batch(columns | ({"prediction_id": pa.array(ids)} if ids else {}))


def logged(client_ids: bool = False) -> monitor.PredictionLogged:
    return monitor.PredictionLogged(
        deployment="late", model="flights", version=1, rows=2, start=day(5), end=day(5), client_ids=client_ids
    )


def flagged(**location: object) -> feedback.FeedbackFlagged:
    return feedback.FeedbackFlagged(flag="f", prediction_id="own-1", category="wrong", severity="high", **location)
