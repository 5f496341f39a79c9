"""What tests of the deployer say again and again."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import reduce

from services.deployer import domain
from services.deployer.domain import Command, Deploy, Facts, GateFacts, State, VersionFacts
from shared.events.deployer import Deployed, Resources, Runtime, Share, Traffic
from shared.events.envelope import Event, Payload
from shared.events.registry import Artifact, Field, Rule, Signature

AT = datetime(2026, 3, 1, tzinfo=UTC)
SIGNATURE = Signature(inputs=(Field(name="delay", type="double"),), outputs=(Field(name="p", type="double"),))
OPEN = GateFacts(True)
CLOSED = GateFacts(False, (Rule(rule="quality", passed=False, reason="No quality evidence."),))


def artifact(version: int, uri: str = "file:///m.onnx") -> Artifact:
    return Artifact(uri=uri, sha256=f"{version:064x}")


def facts(*versions: int, gates: dict[int, GateFacts | None] | None = None, uri: str = "file:///m.onnx") -> Facts:
    """These versions as known, their gates open unless told otherwise."""
    of = gates or {}
    return Facts(
        versions, {one: VersionFacts(one, artifact(one, uri), SIGNATURE, of.get(one, OPEN)) for one in versions}
    )


def deploy(version: int = 1, environment: str = "production", kind: str = "onnx", **changed: object) -> Deploy:
    runtime = Runtime(kind=kind)  # type: ignore[arg-type]
    known = changed.pop("facts", facts(1, 2, 3))
    return Deploy("late", "late-flights", version, environment, runtime, Resources(), known)  # type: ignore[arg-type]


def deployed(environment: str = "production", kind: str = "onnx") -> Deployed:
    return Deployed(
        deployment="late",
        model="late-flights",
        version=1,
        environment=environment,
        runtime=Runtime(kind=kind),  # type: ignore[arg-type]
        artifact=artifact(1),
        traffic=Traffic(champion=1),
    )


def traffic(champion: int, *challengers: tuple[int, float], shadows: tuple[int, ...] = ()) -> Traffic:
    return Traffic(
        champion=champion,
        challengers=tuple(Share(version=version, percent=percent) for version, percent in challengers),
        shadows=shadows,
    )


def event(payload: Payload, sequence: int = 1, actor: str = "dora") -> Event:
    return Event(f"e{sequence}", "/muniment/deployer", "deployment/late", AT, sequence, actor, payload)


def state(*payloads: Payload) -> State:
    return reduce(domain.evolve, [event(one, place) for place, one in enumerate(payloads, 1)], domain.initial)


def after(before: State, *commands: Command) -> tuple[State, list[Payload]]:
    """The state that these commands lead to, and every fact stated on the way."""
    stated: list[Payload] = []
    for command in commands:
        new: Sequence[Payload] = domain.decide(before, command)
        stated += new
        before = reduce(domain.evolve, [event(one) for one in new], before)
    return before, stated
