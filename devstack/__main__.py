"""`python -m devstack up|down [--folder .stack]`: start or stop Kafka, PostgreSQL and Valkey in the background."""

import argparse
import sys
from pathlib import Path

from devstack import kafka, postgres, processes, valkey
from devstack.prepare import CannotPrepare

PORTS = {kafka.NAME: 9092, postgres.NAME: 5432, valkey.NAME: 6379}

Servers = tuple[kafka.KafkaBroker, postgres.PostgresServer, valkey.ValkeyServer]


def servers(folder: Path) -> Servers:
    """The three with the ports they had before, else their usual ones, else free ones."""
    return (
        kafka.KafkaBroker(folder / kafka.NAME, _port(folder, kafka.NAME)),
        postgres.PostgresServer(folder / postgres.NAME, _port(folder, postgres.NAME)),
        valkey.ValkeyServer(folder / valkey.NAME, _port(folder, valkey.NAME)),
    )


def up(folder: Path) -> dict[str, str]:
    """Start what does not run yet; returns the environment variables that name the three."""
    started = servers(folder)
    for server in started:
        if processes.running(server.folder, server.folder.name) is None:
            server.start()
    broker, database, cache = started
    return {"MUNIMENT_KAFKA": broker.address, "MUNIMENT_POSTGRES": database.dsn, "MUNIMENT_REDIS": cache.url}


def down(folder: Path) -> None:
    """Stop what runs; data stays."""
    for server in reversed(servers(folder)):
        server.stop()


def _port(folder: Path, name: str) -> int:
    """The port kept in a file, unless somebody else has taken it since; then the usual one, then any."""
    kept = folder / name / "port"
    before = [int(kept.read_text())] if kept.exists() else []
    if before and processes.running(folder / name, name) is not None:
        return before[0]
    port = next((port for port in (*before, PORTS[name]) if processes.is_free(port)), None) or processes.free_port()
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(str(port))
    return port


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m devstack", description=__doc__)
    parser.add_argument("action", choices=("up", "down"))
    parser.add_argument("--folder", type=Path, default=Path(".stack"))
    given = parser.parse_args()
    try:
        if given.action == "down":
            down(given.folder)
            return 0
        for name, value in up(given.folder).items():
            print(f"export {name}={value}")
    except (CannotPrepare, processes.NotReady) as error:
        print(f"devstack: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
