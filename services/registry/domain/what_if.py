"""What a policy would have done: a model's history folded again, each release judged by it as of the day it happened.

Pure: it sees the stream of a model, the releases of its versions and the spans of flags; no view and no clock.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.registry.domain.gate import OpenFlag, Seen, evaluate
from services.registry.domain.model_state import Gate, ModelState, evolve, initial, version_of
from shared.events.envelope import Event
from shared.events.registry import GateChanged, PolicyPayload


@dataclass(frozen=True, slots=True)
class Release:
    """A version that began to answer as champion in the policy's stage."""

    event: str
    deployment: str
    version: int
    at: datetime
    actor: str


@dataclass(frozen=True, slots=True)
class FlagSpan:
    """From when to when a flag was open; None: since ever, and until now."""

    flag: OpenFlag
    opened: datetime | None
    closed: datetime | None

    def open_at(self, moment: datetime) -> bool:
        return (self.opened is None or self.opened <= moment) and (self.closed is None or moment < self.closed)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A release under the proposed policy. `then`: how the gate stood on record that day, where it did."""

    release: Release
    then: Gate | None
    now: Gate


@dataclass(frozen=True, slots=True)
class Opening:
    """When a version's gate first opened, on record and under the proposed policy, and how it stands in the end."""

    version: int
    on_record: datetime | None
    proposed: datetime | None
    last: Gate


def releases_under(
    policy: PolicyPayload, events: Sequence[Event], releases: Sequence[Release], flags: Sequence[FlagSpan]
) -> list[Verdict]:
    """Every release judged anew, in the order they happened; one of a version not known by then is left out."""
    verdicts: list[Verdict] = []
    history = _history(events)
    state, following = initial, next(history, None)
    for release in sorted(releases, key=lambda one: one.at):
        while following is not None and following[0] <= release.at:
            state, following = following[1], next(history, None)
        if release.version in state.versions:
            version = version_of(state, release.version)
            found = evaluate(policy, state, version, _seen(release.at, flags))
            verdicts.append(Verdict(release, version.gates.get(policy.stage), found))
    return verdicts


def openings_under(
    policy: PolicyPayload, events: Sequence[Event], flags: Sequence[FlagSpan], until: datetime
) -> list[Opening]:
    """Every version's first opening, judged anew whenever something was said about it until `until`."""
    found: dict[int, Opening] = {}
    state = initial
    for at, after, event in _told(events):
        if at > until:
            break
        state = after
        number: int | None = getattr(event.data, "version", None)
        if number is None or number not in state.versions:
            continue
        gate = evaluate(policy, state, version_of(state, number), _seen(at, flags))
        opening = found.get(number, Opening(number, None, None, gate))
        if opening.proposed is None and gate.allowed:
            opening = replace(opening, proposed=at)
        if opening.on_record is None and isinstance(event.data, GateChanged) and _opens(event.data, policy):
            opening = replace(opening, on_record=at)
        found[number] = replace(opening, last=gate)
    for number, opening in found.items():
        gate = evaluate(policy, state, version_of(state, number), _seen(until, flags))
        found[number] = replace(opening, last=gate)
    return list(found.values())


def _opens(gate: GateChanged, policy: PolicyPayload) -> bool:
    return gate.stage == policy.stage and gate.allowed


def _history(events: Sequence[Event]) -> Iterator[tuple[datetime, ModelState]]:
    return ((at, state) for at, state, _ in _told(events))


def _told(events: Sequence[Event]) -> Iterator[tuple[datetime, ModelState, Event]]:
    """The states one after another, each with the moment from which it held: what is told late holds from then."""
    state, latest = initial, None
    for event in events:
        state = evolve(state, event)
        latest = event.time if latest is None else max(latest, event.time)
        yield latest, state, event


def _seen(at: datetime, flags: Sequence[FlagSpan]) -> Seen:
    return Seen(at, tuple(span.flag for span in flags if span.open_at(at)))
