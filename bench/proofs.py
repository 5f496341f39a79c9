"""The Merkle tree in PostgreSQL: how fast it grows, in how much memory, and how long a proof takes at its full size."""

import os
import resource
from hashlib import sha256
from random import Random
from time import perf_counter, process_time

import numpy as np

from bench.line import Line
from bench.stack import Stack
from services.audit.domain import merkle, tiles
from services.audit.domain.merkle import Frontier, Range
from services.audit.projection.tree import TABLES, Stated, checkpoint_rows, tile_rows
from services.audit.proofs.reading import TreeReader
from shared.events.audit import CheckpointSigned, LogOffset, LogRun
from shared.log.postgres_store import PostgresStore
from shared.runtime.commands import new_id, now

LEAVES = int(os.environ.get("BENCH_LEAVES", "1000000"))
CHUNK = 50_000
PROOFS = 1_000
LIMIT_MS = 5.0
TOPIC = "muniment.bench"


async def measure(stack: Stack) -> list[Line]:
    store = PostgresStore(stack.settings.postgres, "bench_proofs", TABLES)
    await store.setup()
    before = _peak()
    began = perf_counter()
    root = await _grow(store)
    grown, bare = LEAVES / (perf_counter() - began), _bare()
    memory = _peak() - before
    spent = process_time()
    times = await _proofs(TreeReader(store), root)
    spent = (process_time() - spent) * 1_000 / PROOFS
    await store.close()
    p99, middle = np.percentile(times, 99), np.median(times)
    figures = f"median {middle:.2f} ms, p99 {p99:.2f} ms, {spent:.2f} ms of processor, {LEAVES:,} leaves"
    growth = f"{grown:,.0f} leaves/s against {bare:,.0f}/s, {memory} MiB more at the peak"
    return [
        Line("inclusion proof from tiles", LIMIT_MS / float(p99), f"{LIMIT_MS:g} ms (p99)", 1, figures),
        Line("growth of the tree", grown / bare, "hashing leaves and nodes alone", None, growth),
    ]


async def _grow(store: PostgresStore) -> bytes:
    """Checkpoint after checkpoint as the sequencer keeps them; answers the root."""
    size, covered, root = 0, {}, b""
    for sequence in range(1, LEAVES // CHUNK + 1):
        leaves = [_leaf(number) for number in range(size, size + CHUNK)]
        async with store.begin() as unit:
            edge = await TreeReader(unit).tiles(tiles.edge(size))
            changed = tiles.grow(size, edge, leaves)
            end = size + CHUNK
            root = tiles.range_root(Range(0, end), {**edge, **changed})
            run = LogRun(topic=TOPIC, partition=0, begin=size, end=end)
            offset = LogOffset(topic=TOPIC, partition=0, offset=end)
            said = {"origin": "bench", "size": end, "root": "", "previous": size, "key_id": "", "note": ""}
            data = CheckpointSigned(**said, runs=(run,), offsets=(offset,))
            rows = checkpoint_rows(Stated(data, new_id(), sequence, now()), covered)
            await unit.apply([*rows, *tile_rows(changed)])
        size, covered = end, {(TOPIC, 0): end}
    return root


async def _proofs(reader: TreeReader, root: bytes) -> list[float]:
    """Milliseconds of proofs of leaves at random, each of which is verified."""
    times: list[float] = []
    chosen = Random(0)
    for _ in range(PROOFS):
        offset = chosen.randrange(LEAVES)
        began = perf_counter()
        index = await reader.index_of({"topic": TOPIC, "partition": 0, "offset": offset})
        assert index is not None
        proof = await reader.inclusion(index, LEAVES)
        times.append((perf_counter() - began) * 1_000)
        assert merkle.verify_inclusion(_leaf(offset), index, LEAVES, proof, root)
    return times


def _bare() -> float:
    count = 200_000
    began = perf_counter()
    Frontier().extended(_leaf(number) for number in range(count))
    return count / (perf_counter() - began)


def _leaf(number: int) -> bytes:
    return sha256(b"\0%d" % number).digest()


def _peak() -> int:
    """MiB that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
