"""One prediction explained: contributions from the model as served, the same in words, and past cases like it."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from services.monitor.cases import Case, Cases
from services.monitor.domain import explanation
from services.monitor.domain.explanation import Contribution
from services.monitor.explaining.asking import background_of, columns_of, not_explainable, output_of, seed_of
from services.monitor.explaining.nearest import Near, nearest
from services.monitor.explaining.process import Busy, Died, Process, Starting, TookTooLong
from services.monitor.facts import Facts, Version
from services.monitor.span import Span
from shared.events import batches
from shared.log.tables import Row
from shared.runtime.problems import Problem
from shared.runtime.service import Service

TOLERANCE = 1e-5
"""How far the model's answer now may lie from the one logged, of the larger of the two or 1, to count as the same."""


@dataclass(slots=True)
class Explainer:
    """Explains predictions of one service, and remembers the last contributions."""

    service: Service
    cases: Cases
    process: Process
    facts: Facts = field(default_factory=Facts)
    _kept: "OrderedDict[tuple[str, str], Any]" = field(default_factory=OrderedDict[tuple[str, str], Any])

    async def explain(self, prediction_id: str, output: str | None) -> dict[str, Any]:
        """The explanation as it is answered. Raises Problem as `Cases.find`, and 409 `not-explainable` with the reason,
        422 `unknown-output`, 503 `explanation-busy`, `explanation-too-slow`."""
        case = await self.cases.find(prediction_id)
        version, reference = await self._version(case)
        name = output_of(version, output)
        found = await self._contributions(case, version, reference, name)
        contributions = _contributions(case, version, reference["sample"], found.values)
        probability = explanation.is_probability(np.append(found.background, found.answer))
        said = explanation.words(version.signature, name, found.answer, found.base, contributions, probability)
        logged = case.output.get(name)
        near, looked = await self._nearest(case, version, reference["sample"])
        known = [one["outcome"]["value"] for one in near if one["outcome"] is not None]
        return {
            "prediction_id": prediction_id,
            "deployment": case.batch["deployment"],
            "model": version.model,
            "version": version.version,
            "output": name,
            "value": found.answer,
            "base_value": found.base,
            "summary": [*said, explanation.past(len(near), known, probability), *_doubt(logged, found.answer)],
            "contributions": [
                {
                    "feature": one.feature,
                    "value": one.value,
                    "typical": one.typical,
                    "contribution": one.contribution,
                }
                for one in sorted(contributions, key=lambda one: (-abs(one.contribution), one.feature))
            ],
            "logged": {"value": logged, "same": _same(logged, found.answer)},
            "nearest": near,
            "method": {
                "contributions": f"{found.method} (shap) of the output, over independent features",
                "reference_rows": len(found.background),
                "reference_rows_belong_together": reference["aligned"],
                "model_answers": found.evaluations,
                "seed": seed_of(prediction_id),
                "artifact": reference["artifact"],
                "nearest": "root mean square over features, numbers in standard deviations of the reference",
                "past_cases_compared": looked,
            },
        }

    async def _version(self, case: Case) -> tuple[Version, Row]:
        row = case.batch
        runtime = await self.service.store.get("runtimes", row["deployment"])
        if runtime is not None and runtime["kind"] != "onnx":
            where = "elsewhere" if runtime["kind"] == "external" else "by another server"
            raise not_explainable(f"deployment '{row['deployment']}' is served {where}")
        version = await self.facts.version(self.service.store, row["model"], row["version"])
        reference = await self.service.store.get("reference_samples", row["model"], row["version"])
        if version is None or reference is None:
            raise not_explainable(f"version {row['version']} of '{row['model']}' is not known here")
        if reference["artifact"]["uri"].startswith("external:"):
            raise not_explainable(f"the artifact of version {row['version']} lies elsewhere")
        missing = [one.name for one in version.signature.inputs if one.name not in reference["sample"]]
        if missing or not version.signature.inputs:
            named = ", ".join(missing[:5]) or "any feature, since its signature names none"
            raise not_explainable(f"version {row['version']} has no reference of {named}")
        return version, reference

    async def _contributions(self, case: Case, version: Version, reference: Row, output: str) -> Any:
        key = (case.id, output)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        settings = self.service.settings
        background = background_of(version, reference["sample"], settings.explanation_background)
        request = {
            "key": f"{version.model}@{version.version}",
            "artifact": reference["artifact"],
            "signature": version.signature.model_dump(mode="json"),
            "output": output,
            "row": columns_of(version.signature.inputs, {name: [value] for name, value in case.features.items()}, 1),
            "background": background,
            "seed": seed_of(case.id),
            "evaluations": settings.explanation_evaluations,
            "seconds": settings.explanation_seconds,
            "max_bytes": settings.max_artifact_bytes,
        }
        found = await self._asked(request)
        self._kept[key] = found
        while len(self._kept) > settings.explanation_cache:
            self._kept.popitem(last=False)
        return found

    async def _asked(self, request: dict[str, Any]) -> Any:
        retry = {"Retry-After": "1"}
        try:
            answer = await self.process.ask(request, self.service.settings.explanation_seconds)
        except Busy as error:
            raise Problem(503, "explanation-busy", f"{error}.", "Try again in a moment.", headers=retry) from error
        except Starting as error:
            raise Problem(503, "explanation-starting", f"{error}.", "Try again in a moment.", headers=retry) from error
        except TookTooLong as error:
            raise _too_slow(str(error)) from error
        except Died as error:
            raise Problem(
                503, "explanation-failed", f"{error}.", "Try again; the log tells more.", headers=retry
            ) from error
        if "found" in answer:
            found = answer["found"]
            if not np.isfinite([found.answer, found.base, *found.values.values()]).all():
                raise not_explainable("the model gives no number for this case, or for some rows of its reference")
            return found
        problem, reason = answer["problem"], answer["reason"]
        if problem == "TooSlow":
            raise _too_slow(reason)
        if problem in ("Unservable", "Altered", "ModelFailed", "TooWide"):
            raise not_explainable(reason)
        raise Problem(503, "explanation-failed", f"The explanation failed: {problem}: {reason}", headers=retry)

    async def _nearest(self, case: Case, version: Version, sample: dict[str, list[Any]]) -> tuple[list[Any], int]:
        settings = self.service.settings
        at = case.values["at"]
        features = {name: case.features.get(name) for name in sample}
        numbers = [one.name for one in version.signature.inputs if one.type in ("double", "long")]
        looked = await nearest(
            self.cases.archive,
            Span(case.batch["deployment"], version.version, until=at),
            at,
            (case.batch["batch"], case.row),
            features,
            explanation.scales(sample, numbers),
            settings.explanation_cases,
            settings.explanation_search_rows,
        )
        return [await self._told(one) for one in looked.cases], looked.rows

    async def _told(self, one: Near) -> dict[str, Any]:
        return {
            "prediction_id": one.id,
            "at": one.values["at"],
            "distance": one.distance,
            "features": batches.group(one.values, batches.FEATURE),
            "output": batches.group(one.values, batches.OUTPUT),
            "outcome": await self.cases.truth(one.batch, one.row),
        }


def _contributions(
    case: Case, version: Version, sample: dict[str, list[Any]], values: dict[str, float]
) -> list[Contribution]:
    features = case.features
    return [
        Contribution(one.name, features.get(one.name), values[one.name], explanation.typical(sample[one.name]))
        for one in version.signature.inputs
    ]


def _same(logged: Any, answer: float) -> bool | None:
    if not isinstance(logged, int | float):
        return None
    return abs(logged - answer) <= TOLERANCE * max(1.0, abs(logged), abs(answer))


def _doubt(logged: Any, answer: float) -> list[str]:
    if _same(logged, answer) is not False:
        return []
    return [
        f"Caution: when the prediction was made {explanation.number(float(logged))} was recorded; the model as "
        f"registered answers {explanation.number(answer)} to these values."
    ]


def _too_slow(reason: str) -> Problem:
    detail = f"The explanation took too long: {reason}."
    fix = "Lower MUNIMENT_EXPLANATION_EVALUATIONS or raise MUNIMENT_EXPLANATION_SECONDS for slow models."
    return Problem(503, "explanation-too-slow", detail, fix, headers={"Retry-After": "5"})
