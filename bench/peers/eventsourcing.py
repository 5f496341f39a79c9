"""Events of eventsourcing's own application on PostgreSQL, from zero: only read, and into a view with tracking.

`python eventsourcing.py HOST PORT USER DBNAME FILE SECONDS`; FILE has the data of an event a line. Prints JSON.
"""

import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path

sys.path.pop(0)  # this file has the peer's name
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresTrackingRecorder

LENGTH = 10
AT_ONCE = 500


class Stream(Aggregate):
    @event("Said")
    def say(self, data: str) -> None:
        self.last = data


class View(PostgresTrackingRecorder):
    """A row per event, and how far it is, in one transaction, as its projections do."""

    def __init__(self, datastore, **kwargs):
        super().__init__(datastore, **kwargs)
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS seen (position bigint PRIMARY KEY, stream text, data text)")

    def put(self, tracking, stream, data):
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute("INSERT INTO seen VALUES (%s, %s, %s)", (tracking.notification_id, stream, data))


def main():
    host, port, user, name, path, seconds = sys.argv[1:]
    os.environ |= {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": name,
        "POSTGRES_HOST": host,
        "POSTGRES_PORT": port,
        "POSTGRES_USER": user,
        "POSTGRES_PASSWORD": "any",
    }
    app = Application()
    lines = Path(path).read_text().split("\n")[:-1]
    for first in range(0, len(lines), LENGTH):
        one = Stream()
        for line in lines[first : first + LENGTH]:
            one.say(line)
        app.save(one)
    read = reading(app)
    print(json.dumps({"version": version("eventsourcing"), **read, **projecting(app, float(seconds))}))


def reading(app):
    began, cpu, seen, at = time.perf_counter(), time.process_time(), 0, 1
    while notifications := app.recorder.select_notifications(start=at, limit=AT_ONCE):
        for one in notifications:
            app.mapper.to_domain_event(one)
        seen, at = seen + len(notifications), notifications[-1].id + 1
    return {"read": seen, "read_seconds": time.perf_counter() - began, "read_cpu": time.process_time() - cpu}


def projecting(app, seconds):
    view = app.factory.tracking_recorder(View)
    began, cpu, seen, at = time.perf_counter(), time.process_time(), 0, 1
    while time.perf_counter() - began < seconds:
        notifications = app.recorder.select_notifications(start=at, limit=AT_ONCE)
        if not notifications:
            break
        for one in notifications:
            said = app.mapper.to_domain_event(one)
            view.put(Tracking(app.name, one.id), str(said.originator_id), getattr(said, "data", ""))
        seen, at = seen + len(notifications), notifications[-1].id + 1
    return {"put": seen, "put_seconds": time.perf_counter() - began, "put_cpu": time.process_time() - cpu}


if __name__ == "__main__":
    main()
