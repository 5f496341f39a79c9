"""Models whose gates wait to be looked at again: work in hand."""

from shared.log.tables import Table

TABLES: tuple[Table, ...] = (
    Table(
        "reviews",
        ("model",),
        {
            "model": "text",
            "judged": "integer",
            "actor": "text",
            "at": "timestamp",
            "event_id": "text",
            "correlationid": "text",
        },
        work=True,
    ),
)
