"""The facts that a report is made of: events up to its moment, and the questions that sections ask of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.audit.reports.words import parsed

FLAG_ENDS = ("FlagResolved", "FlagMerged", "FlagLapsed")
FLAG_STEPS = ("FeedbackFlagged", "PredictionsFlagged", "FlagLocated", "FlagTriaged", "FlagCommented", *FLAG_ENDS)
DEPLOYING = ("Deployed", "TrafficChanged", "Promoted", "RolledBack", "Retired")


@dataclass(frozen=True, slots=True)
class Fact:
    """One event of the ledger, its data lifted to the newest version of its type."""

    id: str
    type: str
    subject: str
    sequence: int
    time: datetime
    recorded: datetime
    actor: str
    data: Mapping[str, Any] = field(repr=False)

    @property
    def word(self) -> tuple[datetime, int, str]:
        """The order in which facts were said: later ones overrule earlier ones."""
        return self.recorded, self.sequence, self.id


@dataclass(frozen=True, slots=True)
class Facts:
    """All facts about one model up to (`at`, `known_at`), in the order in which they were said. `limits`: what was cut
    short, in words."""

    model: str
    at: datetime
    known_at: datetime
    facts: tuple[Fact, ...]
    limits: tuple[str, ...] = ()

    def of(self, *types: str, where: Callable[[Mapping[str, Any]], bool] | None = None) -> list[Fact]:
        """Facts of these types, in the order in which they were said."""
        return [one for one in self.facts if one.type in types and (where is None or where(one.data))]

    def last(self, *types: str, where: Callable[[Mapping[str, Any]], bool] | None = None) -> Fact | None:
        found = self.of(*types, where=where)
        return found[-1] if found else None

    @property
    def registered(self) -> Fact | None:
        return self.last("ModelRegistered")

    @property
    def versions(self) -> list[Fact]:
        """The versions by number."""
        return sorted(self.of("ModelVersionRegistered"), key=lambda one: one.data["version"])

    def version(self, number: int) -> Fact | None:
        return self.last("ModelVersionRegistered", where=lambda data: data["version"] == number)

    def about(self, number: int, *types: str) -> list[Fact]:
        """Facts of these types about one version."""
        return self.of(*types, where=lambda data: data.get("version") == number)

    @property
    def goal(self) -> Fact | None:
        named = self.registered.data["goal"] if self.registered else None
        return self.last("GoalStated", where=lambda data: data["goal"] == named) if named else None

    @property
    def kpis(self) -> list[Fact]:
        """The newest definition of each KPI of the goal."""
        return newest(self.of("KpiDefined"), "kpi")

    @property
    def deployments(self) -> dict[str, list[Fact]]:
        """Deployment name → what was said about its traffic, in order."""
        found: dict[str, list[Fact]] = {}
        for fact in self.of(*DEPLOYING):
            found.setdefault(fact.data["deployment"], []).append(fact)
        return found

    @property
    def live(self) -> dict[str, tuple[Fact, Mapping[str, Any]]]:
        """Deployment name → (fact that says so, traffic) of those that serve at the report's moment."""
        return {
            name: (said[-1], traffic_after(said[-1]))
            for name, said in self.deployments.items()
            if said[-1].type != "Retired"
        }

    @property
    def champions(self) -> list[int]:
        """Versions that answer somewhere at the report's moment."""
        return sorted({traffic["champion"] for _, traffic in self.live.values()})

    def gate(self, version: int, stage: str) -> Fact | None:
        return self.last("GateChanged", where=lambda data: data["version"] == version and data["stage"] == stage)

    @property
    def windows(self) -> list[Fact]:
        """The newest revision of each measured window, by start and version."""
        found: dict[tuple[Any, ...], Fact] = {}
        for fact in self.of("WindowMeasured"):
            data = fact.data
            found[data["window_start"], data["deployment"], data["version"]] = fact
        return [found[key] for key in sorted(found)]

    @property
    def flags(self) -> dict[str, list[Fact]]:
        """Flag id → its history."""
        found: dict[str, list[Fact]] = {}
        for fact in self.of(*FLAG_STEPS):
            found.setdefault(fact.data["flag"], []).append(fact)
        return {flag: said for flag, said in found.items() if said[0].type in ("FeedbackFlagged", "PredictionsFlagged")}

    @property
    def open_flags(self) -> list[Fact]:
        return [said[0] for said in self.flags.values() if all(one.type not in FLAG_ENDS for one in said)]

    def dataset(self, ref: Mapping[str, Any]) -> Fact | None:
        """What was registered of the dataset version that `ref` names."""
        named = (ref["dataset"], ref["version"])
        return self.last("DatasetRegistered", where=lambda data: (data["dataset"], data["version"]) == named)

    def run(self, name: str) -> Fact | None:
        """A pipeline run by its name, with or without its pipeline's."""
        return self.last(
            "PipelineRunRecorded", where=lambda data: name in (data["run"], f"{data['pipeline']}/{data['run']}")
        )

    def pipeline(self, name: str) -> Fact | None:
        return self.last("PipelineRegistered", where=lambda data: data["pipeline"] == name)

    @property
    def by_id(self) -> dict[str, Fact]:
        return {fact.id: fact for fact in self.facts}


def traffic_after(fact: Fact) -> Mapping[str, Any]:
    """The traffic that holds once a fact is said; of a retirement the one that ended."""
    data = fact.data
    return data["traffic"] if fact.type == "Deployed" else data.get("after") or data["before"]


def personal(version: Fact) -> tuple[str, ...]:
    """What a version's signature declares a person's, in words: the inputs, and whom a prediction is about."""
    signature = version.data["signature"]
    subject = signature.get("subject")
    inputs = [one["name"] for one in signature["inputs"] if one.get("personal") or one["name"] == subject]
    return (*inputs, "whom a prediction is about") if inputs or subject else ()


def newest(facts: Iterable[Fact], key: str) -> list[Fact]:
    """Of each value of a field the fact said last, in the order in which the values came up."""
    found: dict[Any, Fact] = {}
    for fact in facts:
        found[fact.data[key]] = fact
    return list(found.values())


def ids(facts: Iterable[Fact | None]) -> tuple[str, ...]:
    return tuple(fact.id for fact in facts if fact is not None)


def by_month(windows: Sequence[Fact]) -> dict[str, list[Fact]]:
    """`2013-04` → windows that start in that month (UTC)."""
    found: dict[str, list[Fact]] = {}
    for fact in windows:
        found.setdefault(fact.data["window_start"][:7], []).append(fact)
    return found


def ordered(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """Each event once, in the order in which they were said."""
    return tuple(sorted({fact.id: fact for fact in facts}.values(), key=lambda one: one.word))


def started(fact: Fact) -> datetime:
    return parsed(fact.data["window_start"])
