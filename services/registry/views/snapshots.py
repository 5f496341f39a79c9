"""Snapshots of long streams: no view, but what a fold of the stream gives again."""

from shared.log.tables import Table

TABLES: tuple[Table, ...] = (
    Table(
        "snapshots",
        ("stream", "part"),
        {"stream": "text", "part": "integer", "body": "bytes"},
        work=True,
        stays=True,
    ),
)
