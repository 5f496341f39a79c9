"""Facts that `monitor` owns: what was predicted, what came true, and what a window of both measured.

`PredictionLogged` is also written by `deployer`'s inference gateway: it is the one type with two writers (ADR 2).
"""

from shared.events.monitor.alerts import (
    AlertCleared,
    AlertKind,
    AlertRaised,
    AlertRouteAdded,
    AlertRouteRemoved,
    Finding,
)
from shared.events.monitor.experiments import (
    ArmResult,
    ExperimentArm,
    ExperimentConcluded,
    ExperimentStarted,
    Guardrail,
    GuardrailBreached,
    Verdict,
)
from shared.events.monitor.parts import FairnessMeasured, KpiValue, MonitorPayload
from shared.events.monitor.predictions import (
    OutcomeLogged,
    OutcomesJoined,
    PredictionLogged,
    PredictionsExpired,
    PredictionsRefused,
    RetentionSet,
    SubjectForgotten,
)
from shared.events.monitor.windows import (
    DeploymentHeard,
    DeploymentSilent,
    Drift,
    DriftDetected,
    IntegrityBreached,
    IntegrityCheck,
    KpiBreached,
    MultivariateDrift,
    RevisionCause,
    WindowMeasured,
)

__all__ = [
    "AlertCleared",
    "AlertKind",
    "AlertRaised",
    "AlertRouteAdded",
    "AlertRouteRemoved",
    "ArmResult",
    "DeploymentHeard",
    "DeploymentSilent",
    "Drift",
    "DriftDetected",
    "ExperimentArm",
    "ExperimentConcluded",
    "ExperimentStarted",
    "FairnessMeasured",
    "Finding",
    "Guardrail",
    "GuardrailBreached",
    "IntegrityBreached",
    "IntegrityCheck",
    "KpiBreached",
    "KpiValue",
    "MonitorPayload",
    "MultivariateDrift",
    "OutcomeLogged",
    "OutcomesJoined",
    "PredictionLogged",
    "PredictionsExpired",
    "PredictionsRefused",
    "RetentionSet",
    "RevisionCause",
    "SubjectForgotten",
    "Verdict",
    "WindowMeasured",
]
