"""The register of a report: which events its marks stand for."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from services.audit.reports.facts import Fact
from shared.events.codec import rfc3339

SET = 8
"""A statement that rests on more events than this refers to them as one set."""


class Register:
    """Numbers events and sets of events in the order in which the report refers to them."""

    def __init__(self, base_url: str, facts: Mapping[str, Fact]) -> None:
        self._base_url, self._facts = base_url, facts
        self._events: dict[str, str] = {}
        self._sets: dict[tuple[str, ...], str] = {}

    def refs(self, events: Iterable[str]) -> list[str]:
        ids = tuple(dict.fromkeys(events))
        if len(ids) > SET:
            return [self._sets.setdefault(ids, f"S{len(self._sets) + 1}")]
        return [self._events.setdefault(one, f"E{len(self._events) + 1}") for one in ids]

    def entries(self) -> dict[str, list[dict[str, Any]]]:
        return {
            "events": [self._event(ref, one) for one, ref in self._events.items()],
            "sets": [self._set(ref, ids) for ids, ref in self._sets.items()],
        }

    def _event(self, ref: str, event_id: str) -> dict[str, Any]:
        base, fact = self._base_url, self._facts.get(event_id)
        entry: dict[str, Any] = {
            "ref": ref,
            "event_id": event_id,
            "url": f"{base}/v1/events/{event_id}",
            "proof": f"{base}/v1/proofs/inclusion?event_id={event_id}",
        }
        if fact is None:
            return {**entry, "type": "", "subject": "", "actor": "", "time": "", "recorded": ""}
        return {
            **entry,
            "type": fact.type,
            "subject": fact.subject,
            "actor": fact.actor,
            "time": rfc3339(fact.time),
            "recorded": rfc3339(fact.recorded),
        }

    def _set(self, ref: str, ids: tuple[str, ...]) -> dict[str, Any]:
        facts = sorted((self._facts[one] for one in ids if one in self._facts), key=lambda one: one.time)
        return {
            "ref": ref,
            "count": len(ids),
            "types": sorted({fact.type for fact in facts}),
            "first": rfc3339(facts[0].time) if facts else "",
            "last": rfc3339(facts[-1].time) if facts else "",
            "sha256": sha256("\n".join(sorted(ids)).encode()).hexdigest(),
            "event_ids": list(ids),
        }
