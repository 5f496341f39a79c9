"""A reference read beside the requests: two at a time, so that a file system that hangs stops no other request."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from urllib.parse import unquote, urlsplit

from services.registry.references.columns import Values, read_columns
from services.registry.references.fetching import Limits, Unreadable, fetch
from shared.events.registry import Field, ReferenceSource
from shared.runtime.problems import Problem
from shared.runtime.settings import Settings

AT_ONCE = 2


class References:
    """Reads references of one process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="reference")

    async def read(self, uri: str, sha256: str | None, fields: Sequence[Field]) -> tuple[Values, ReferenceSource]:
        """(values by feature, where they come from); a sample where the file has more than may be kept. `fields`: the
        inputs of the signature, none: every column is a feature.

        Raises Problem 422 `reference-unreadable`, `reference-too-large`, `reference-too-slow`, and `reference-differs`
        where the file has another SHA-256 than the one given.
        """
        seconds = self._settings.reference_seconds
        limits = self._limits(monotonic() + seconds)
        work = asyncio.get_running_loop().run_in_executor(self._threads, _read, uri, fields, limits)
        try:
            async with asyncio.timeout(seconds):
                values, source = await work
        except TimeoutError as error:
            slow = Unreadable(f"it took more than {seconds:g} s", "reference-too-slow")
            raise _problem(uri, slow) from error
        except Unreadable as error:
            raise _problem(uri, error) from error
        if sha256 is not None and sha256.lower() != source.sha256:
            detail = f"The reference at {uri} has SHA-256 {source.sha256}, not {sha256}."
            raise Problem(422, "reference-differs", detail, "Give the digest of the file as it is now.")
        return values, source

    async def close(self) -> None:
        """Take no more; whoever reads now is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _limits(self, until: float) -> Limits:
        settings = self._settings
        return Limits(
            settings.reference_places,
            settings.max_reference_bytes,
            settings.max_features,
            settings.reference_values,
            settings.reference_total_values,
            until,
        )


def _read(uri: str, fields: Sequence[Field], limits: Limits) -> tuple[Values, ReferenceSource]:
    limits.check_time()
    with TemporaryDirectory(prefix="muniment-reference-") as folder:
        path = Path(folder) / "reference"
        with path.open("wb") as file:
            digest = fetch(uri, file, limits)
        values, rows = read_columns(path, unquote(urlsplit(uri).path), fields, limits)
    return values, ReferenceSource(uri=uri, sha256=digest, rows=rows)


def _problem(uri: str, error: Unreadable) -> Problem:
    detail = f"The reference at {uri} cannot be taken: {error}."
    return Problem(422, error.code, detail, "Put right what it says, or send the values in `reference` themselves.")
