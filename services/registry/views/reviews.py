"""Models whose gates wait to be looked at again, and those whose versions' retirement waits to be stated: work in
hand."""

from shared.log.tables import Table


def _waiting(name: str) -> Table:
    return Table(
        name,
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
    )


TABLES = (_waiting("reviews"), _waiting("retirements"))
