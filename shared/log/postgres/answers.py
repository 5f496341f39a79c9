"""Answers kept under an Idempotency-Key."""

from collections.abc import Sequence

from shared.log.postgres.transaction import Written
from shared.log.postgres.values import clean
from shared.log.store import IdempotencyRecord


async def keep_answers(written: Written, schema: str, answers: Sequence[tuple[str, IdempotencyRecord]]) -> None:
    """Keep each answer by its key, in place of one that was kept before. `schema` is SQL."""
    await written.execute(
        f"INSERT INTO {schema}.idempotency (key, digest, status, body)"
        " SELECT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::bytea[])"
        " ON CONFLICT (key) DO UPDATE"
        " SET digest = excluded.digest, status = excluded.status, body = excluded.body, kept_at = now()",
        [clean(key) for key, _ in answers],
        [record.digest for _, record in answers],
        [record.status for _, record in answers],
        [record.body for _, record in answers],
    )
