"""What is in the file of a cold part: the entries as they were hashed, and what proves them.

Columns: `leaf` (its index in the tree), `event_id`, `type`, `subject`, `actor`, `time`, `recorded`, `topic`,
`partition`, `offset`, `hash` (32 bytes) and `entry` (the text whose leaf hash that is). The file's metadata hold, under
`muniment.part`, the range, its root, a signed checkpoint and the proof that leads from that root to the checkpoint's.
Pages bear checksums, so that a changed byte shows at reading.
"""

# pyright: basic
# pyarrow ships no types

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from shared.events.batches import TIMESTAMP
from shared.log.tables import Row

FORMAT = "muniment ledger part 1"
METADATA = b"muniment.part"
GROUP_ROWS = 1_024
GROUP_BYTES = 4 * 2**20
"""A row group ends at so many leaves, or so many bytes of entries: what one read costs."""

_COPIED = ("event_id", "type", "subject", "actor", "time", "recorded", "topic", "partition", "offset", "entry")
SCHEMA = pa.schema(
    [("leaf", pa.int64())]
    + [(name, pa.string()) for name in ("event_id", "type", "subject", "actor")]
    + [("time", TIMESTAMP), ("recorded", TIMESTAMP), ("topic", pa.string())]
    + [("partition", pa.int32()), ("offset", pa.int64()), ("hash", pa.binary(32)), ("entry", pa.string())]
)


class NotAPart(ValueError):
    """A file that holds no part, or a damaged one; `str(error)` says what is wrong."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a file says of itself. `root`, `proof`: base64; `checkpoint`: the signed note of `size` leaves; `keys`: the
    signing keys on record, each with the note by which it took over."""

    first: int
    end: int
    root: str
    size: int
    checkpoint: str
    proof: tuple[str, ...]
    keys: tuple[dict[str, str], ...]
    format: str = FORMAT


class Writer:
    """Writes a part row group by row group, so that it never lies in memory as a whole."""

    def __init__(self, path: Path, told: Told) -> None:
        metadata = {METADATA: orjson.dumps(asdict(told))}
        schema = SCHEMA.with_metadata(metadata)
        plain: Any = [name for name in SCHEMA.names if name not in ("leaf", "event_id", "offset", "hash", "entry")]
        self._writer = pq.ParquetWriter(
            path, schema, compression="zstd", use_dictionary=plain, write_page_checksum=True
        )
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def add(self, leaf: int, row: Row) -> None:
        """The next leaf, by the ledger's row of it."""
        self._rows.append({"leaf": leaf, "hash": row["leaf"], **{name: row[name] for name in _COPIED}})
        self._bytes += len(row["entry"])
        if len(self._rows) >= GROUP_ROWS or self._bytes >= GROUP_BYTES:
            self._group()

    def close(self) -> None:
        if self._rows:
            self._group()
        self._writer.close()

    def _group(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._rows, SCHEMA), row_group_size=len(self._rows))
        self._rows, self._bytes = [], 0


@dataclass(frozen=True)
class PartFile:
    """A part opened by its footer. `opened`: opens the file; kept, the footer serves every later read."""

    metadata: Any
    opened: Callable[[], Any]

    @classmethod
    def of(cls, opened: Callable[[], Any]) -> "PartFile":
        """Raises NotAPart, FileNotFoundError, OSError."""
        with opened() as source, _damaged():
            return cls(pq.ParquetFile(source).metadata, opened)

    @cached_property
    def told(self) -> Told:
        """Raises NotAPart."""
        try:
            data = orjson.loads((self.metadata.metadata or {})[METADATA])
            told = Told(**{**data, "proof": tuple(data["proof"]), "keys": tuple(data["keys"])})
        except (KeyError, TypeError, ValueError) as error:
            raise NotAPart("it does not say which part it is") from error
        if told.format != FORMAT or self.metadata.schema.names != SCHEMA.names:
            raise NotAPart(f"its format is not '{FORMAT}'")
        return told

    @cached_property
    def starts(self) -> Sequence[int]:
        """The first leaf of each row group. Raises NotAPart."""
        try:
            groups = (self.metadata.row_group(number) for number in range(self.metadata.num_row_groups))
            return [group.column(0).statistics.min for group in groups]
        except (AttributeError, TypeError) as error:
            raise NotAPart("its row groups do not say which leaves they hold") from error

    def group_of(self, leaf: int) -> int:
        """The row group in which a leaf lies, if the file holds it."""
        return max(0, bisect_right(self.starts, leaf) - 1)

    def group(self, number: int, columns: Sequence[str] = ("leaf", "entry")) -> list[tuple[Any, ...]]:
        """The rows of a row group, of these columns. Raises NotAPart, FileNotFoundError, OSError."""
        with self.opened() as source, _damaged():
            file = pq.ParquetFile(source, metadata=self.metadata, page_checksum_verification=True)
            table = file.read_row_group(number, columns=list(columns))
            return list(zip(*(table.column(name).to_pylist() for name in columns), strict=True))

    def groups(self, columns: Sequence[str] = ("leaf", "entry")) -> Iterator[list[tuple[Any, ...]]]:
        """All rows, row group by row group."""
        for number in range(self.metadata.num_row_groups):
            yield self.group(number, columns)


class _damaged:
    """Turns what pyarrow says of bytes that are no Parquet (any more) into NotAPart. It says the same of a network that
    fails at times: who must tell these apart compares the file's digest."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, FileNotFoundError):
            return
        if isinstance(error, pa.ArrowException | OSError | ValueError | IndexError):
            said = (str(error) or repr(error)).splitlines()[0][:300]
            raise NotAPart(f"it cannot be read: {said}") from error
