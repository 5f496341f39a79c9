"""All tests of a bundle, one after another; what cannot be told is told apart from what failed."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from muniment.packaging.bundle import CONVERSION, TESTS, Bundle
from muniment.packaging.sample import read_frame
from muniment.packaging.sources import CannotPackage
from muniment.testing import checks
from muniment.testing.checks import Found, Subject
from muniment.testing.declared import (
    ChampionTest,
    DirectionTest,
    InvarianceTest,
    LatencyTest,
    MemoryTest,
    MetricTest,
    Test,
    Tests,
    check_tests,
)
from muniment.testing.memory import grown


class Running:
    """The tests of the bundle at `path`. `data`: files by name of a data set, before those that the tests name.

    `champion`: the bundle to compare with; None: there is none."""

    def __init__(self, path: Path, data: Mapping[str, Path], champion: Bundle | None) -> None:
        self.path, self.bundle = path, Bundle.read(path)
        self.declared: Tests = check_tests(self.bundle.parts[TESTS].decode())
        self._files = {name: Path(file) for name, file in self.declared.datasets.items()} | dict(data)
        self._tables: dict[str, pd.DataFrame] = {}
        self._subject = Subject(self.bundle)
        self._champion = Subject(champion) if champion else None

    def run(self) -> list[Found]:
        """How every test fell out, the conversion to ONNX first. Raises CannotPackage where one cannot be told."""
        return [*self._conversion(), *(self._one(test) for test in self.declared.tests)]

    def digests(self) -> dict[str, str]:
        """SHA-256 (hex) of every data set that the tests used."""
        return {name: hashlib.sha256(self._files[name].read_bytes()).hexdigest() for name in sorted(self._tables)}

    def _conversion(self) -> list[Found]:
        found = self.bundle.json(CONVERSION)
        if not found["compared"]:
            return []
        figures = {"max_difference": found["max_difference"], "tolerance": found["tolerance"]}
        reason = f"ONNX and original differ by at most {found['max_difference']:.3g} on {found['rows']} rows"
        told = f"{reason} ({found['tolerance']:.3g} are allowed)."
        return [Found("conversion", "quality", bool(found["within"]), told, figures)]

    def _one(self, test: Test) -> Found:
        table = self._table(test.dataset)
        match test:
            case MetricTest():
                return checks.metric(test, self._subject, table)
            case ChampionTest():
                return checks.champion(test, self._subject, table, self._champion)
            case InvarianceTest():
                return checks.invariance(test, self._subject, table)
            case DirectionTest():
                return checks.direction(test, self._subject, table)
            case LatencyTest():
                return checks.latency(test, self._subject, table)
            case MemoryTest():
                return checks.memory(test, grown(self.path, self._files[test.dataset]))

    def _table(self, name: str) -> pd.DataFrame:
        if name not in self._tables:
            if name not in self._files:
                known = ", ".join(sorted(self._files)) or "none"
                raise CannotPackage(
                    f"No file is named for the data set '{name}' (known: {known}); give --data {name}=FILE."
                )
            self._tables[name] = read_frame(self._files[name])
        return self._tables[name]
