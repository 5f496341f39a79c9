"""The colours of the families of nodes: fill and line, dark text on each reads at 7:1 or better."""

COLOURS: dict[str, tuple[str, str]] = {
    "purpose": ("#fdf3d7", "#b7891a"),
    "data": ("#e3f2e6", "#3f8a55"),
    "model": ("#e1ecf9", "#2b6cb0"),
    "control": ("#eee7f8", "#7453b3"),
    "use": ("#e2f1f3", "#2f8491"),
    "alarm": ("#fbe4e3", "#b83a36"),
    "people": ("#eceef1", "#69737f"),
}
