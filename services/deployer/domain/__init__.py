"""What a deployment is and which rules its traffic obeys. One stream per deployment: `deployment/{name}`.

`initial`, `decide` and `evolve` make this module a decider of the command loop.
"""

from services.deployer.domain.commands import (
    Command,
    Deploy,
    Facts,
    GateFacts,
    HoldCanary,
    Promote,
    React,
    Report,
    ResumeCanary,
    Retire,
    RollBack,
    SetFallback,
    SetReactions,
    SetTraffic,
    StartCanary,
    StateLoss,
    StepCanary,
    VersionFacts,
)
from services.deployer.domain.decisions import GATED, decide
from services.deployer.domain.routing import BUCKETS, arrange, bucket_of, route
from services.deployer.domain.state import INITIAL as initial
from services.deployer.domain.state import State, evolve

__all__ = [
    "BUCKETS",
    "GATED",
    "Command",
    "Deploy",
    "Facts",
    "GateFacts",
    "HoldCanary",
    "Promote",
    "React",
    "Report",
    "ResumeCanary",
    "Retire",
    "RollBack",
    "SetFallback",
    "SetReactions",
    "SetTraffic",
    "StartCanary",
    "State",
    "StateLoss",
    "StepCanary",
    "VersionFacts",
    "arrange",
    "bucket_of",
    "decide",
    "evolve",
    "initial",
    "route",
]


def subject_of(deployment: str) -> str:
    """The stream of a deployment."""
    return f"deployment/{deployment}"
