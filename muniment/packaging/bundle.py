"""A bundle as it is read: its parts, and what is registered of it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from shared.models import Unservable
from shared.models.bundles import MANIFEST, MODEL, is_bundle, unpacked

SUFFIX = ".mbundle"
SIGNATURE, REFERENCE, HISTOGRAMS = "signature.json", "reference.json", "histograms.json"
CARD, ENVIRONMENT, CONVERSION, TESTS = "MODEL_CARD.md", "environment.json", "conversion.json", "tests.yaml"


class NotABundle(ValueError):
    """The file is no bundle, or not the one that it says to be."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """`sha256`: of the whole file, by which it is approved and served."""

    sha256: str
    size: int
    parts: dict[str, bytes]

    @classmethod
    def read(cls, path: Path) -> "Bundle":
        """Raises NotABundle, OSError."""
        return cls.of(path.read_bytes())

    @classmethod
    def of(cls, data: bytes) -> "Bundle":
        """Raises NotABundle."""
        if not is_bundle(data):
            raise NotABundle("this is no bundle of a model; `muniment package` makes one")
        try:
            return cls(hashlib.sha256(data).hexdigest(), len(data), unpacked(data))
        except Unservable as error:
            raise NotABundle(str(error)) from error

    @property
    def manifest(self) -> dict[str, Any]:
        return self.json(MANIFEST)

    @property
    def model(self) -> bytes:
        return self.parts[MODEL]

    @property
    def tests(self) -> dict[str, Any]:
        """The tests declared beside the model."""
        return yaml.safe_load(self.parts[TESTS]) or {}

    def json(self, name: str) -> Any:
        return json.loads(self.parts[name])

    def version(self, uri: str) -> dict[str, Any]:
        """The body that registers the bundle, lying at `uri`, as a version."""
        about, conversion = self.manifest, self.json(CONVERSION)
        body: dict[str, Any] = {
            "artifact": {"uri": uri, "sha256": self.sha256},
            "framework": about["framework"],
            "signature": self.json(SIGNATURE),
            "reference": self.json(REFERENCE),
            "params": about["params"],
            "description": about["description"],
        }
        if conversion["compared"]:
            body["metrics"] = {"conversion_max_difference": conversion["max_difference"]}
        if about["task"]:
            body |= {"task": about["task"], "classes": about["classes"]}
        return body
