"""`python -m bench [NAME…]`: run these measurements, or all, and print a line or two for each."""

import argparse
import asyncio
import importlib
import logging
import sys

import structlog
import uvloop

from bench.line import load
from bench.stack import stack
from devstack.prepare import CannotPrepare
from devstack.processes import NotReady
from shared.runtime import memory

NAMES = (
    "single_prediction",
    "infer",
    "swap",
    "batch_predictions",
    "windows",
    "closing",
    "workers",
    "archive",
    "replay",
    "rebuild",
    "asof",
    "fold",
    "state",
    "bulk_flags",
    "bulk_killed",
    "memory",
    "flat",
    "proofs",
    "registry",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    names: list[str] = parser.parse_args().names or list(NAMES)
    if unknown := sorted(set(names) - set(NAMES)):
        parser.error(f"no measurement {', '.join(unknown)}; there are {', '.join(NAMES)}")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # new topics and groups have no leader yet
    print(f"before: {load()}", flush=True)
    try:
        for name in names:
            run(name)
    except (CannotPrepare, NotReady) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(f"after: {load()}")
    return 0


def run(name: str) -> None:
    """One measurement, on servers of its own unless it needs none."""
    module = importlib.import_module(f"bench.{name}")
    if hasattr(module, "alone"):
        for line in module.alone():
            print(line, flush=True)
        return
    memory.settle()
    with stack() as started, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for line in runner.run(module.measure(started)):
            print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
