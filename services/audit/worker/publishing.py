"""Gets the newest checkpoint into other hands: copies at places outside, and witnesses that cosign it.

What a place has got is kept; whoever holds a copy, or a cosignature, can show that the record was rewritten since.
"""

import asyncio
from dataclasses import dataclass

import httpx
import structlog

from services.audit.domain import cosigning
from services.audit.domain.checkpoint import Checkpoint
from services.audit.domain.checkpoint import parse as parse_checkpoint
from services.audit.domain.note import parse
from services.audit.proofs.copies import Copies
from services.audit.proofs.reading import TreeReader
from services.audit.worker.witnessing import Witness, WitnessRefused
from shared.log.tables import Put, Row
from shared.runtime.commands import Context, new_id, now
from shared.runtime.service import Service

logger = structlog.get_logger()

ACTOR = "audit"


class NotPublished(Exception):
    """Places that did not get the newest checkpoint; they are tried again."""


@dataclass(frozen=True, slots=True)
class Publisher:
    """`transport`: how witnesses are reached; None: over the network."""

    service: Service
    transport: httpx.AsyncBaseTransport | None = None

    async def run(self) -> None:
        """Publish the newest checkpoint wherever it is not yet. One place that fails keeps no other from it.

        Raises NotPublished at the end where some failed.
        """
        settings = self.service.settings
        row = await TreeReader(self.service.store).newest()
        if row is None or not (settings.checkpoint_urls or settings.witnesses):
            return
        failed: list[str] = []
        for target in (*settings.checkpoint_urls, *settings.witnesses):
            held = await self.service.store.get("tree_published", target)
            if held and held["size"] == row["size"] and not held["problem"]:
                continue
            try:
                await self._publish(target, row, (held or {}).get("size") or 0)
            except Exception as error:
                failed.append(f"{target}: {error}")
                logger.warning("checkpoint not published", target=target, size=row["size"], error=repr(error))
                await self._keep(target, {"problem": str(error) or repr(error), "at": now()})
            else:
                await self._keep(target, {"size": row["size"], "problem": None, "at": now()})
        if failed:
            raise NotPublished("; ".join(failed))

    async def _publish(self, target: str, row: Row, held: int) -> None:
        checkpoint = parse_checkpoint(parse(row["note"]).text)
        if target in self.service.settings.witnesses:
            await self._cosign(Witness.of(target), row, checkpoint, held)
        else:
            await asyncio.to_thread(lambda: Copies.of(target).put(row["size"], checkpoint.text, row["note"]))

    async def _cosign(self, witness: Witness, row: Row, checkpoint: Checkpoint, held: int) -> None:
        """Show a witness how the tree grew since what it saw, and keep its signature."""
        reader = TreeReader(self.service.store)
        seconds = self.service.settings.witness_seconds
        async with httpx.AsyncClient(timeout=seconds, transport=self.transport) as client:
            old = min(held, row["size"])
            for _ in range(2):
                proof = await reader.consistency(old, row["size"])
                answer = await witness.add_checkpoint(client, old, proof, row["note"])
                if not isinstance(answer, int):
                    break
                if answer > row["size"]:
                    raise WitnessRefused(f"it has cosigned {answer} leaves, more than the {row['size']} on record")
                old = answer
            else:
                raise WitnessRefused(f"it keeps asking for another size, now {old}")
        signature = witness.own(answer)
        command = cosigning.Cosign(checkpoint, witness.verifier, signature)
        context = Context(ACTOR, now(), new_id(), causationid=row["event_id"])
        await self.service.commands.handle(cosigning, cosigning.subject(row["size"]), command, context)

    async def _keep(self, target: str, columns: Row) -> None:
        async with self.service.store.begin() as unit:
            await unit.apply([Put("tree_published", {"target": target, **columns})])
