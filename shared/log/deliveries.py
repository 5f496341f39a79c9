"""How deliveries to addresses outside are kept: as work in hand, which a rebuild leaves."""

from shared.log.tables import ColumnType, Table


def deliveries(name: str, **about: ColumnType) -> Table:
    """The table of deliveries; `about`: columns that tell what each one is about."""
    columns: dict[str, ColumnType] = {
        "delivery": "text",
        "route": "text",
        "event": "text",
        **about,
        "body": "text",
        "state": "text",
        "attempts": "integer",
        "next_at": "timestamp",
        "created_at": "timestamp",
        "ended_at": "timestamp",
        "status": "integer",
        "problem": "text",
    }
    return Table(name, ("delivery",), columns, (("state", "next_at"), ("created_at",)), work=True, stays=True)
