"""What the system is told differently for the demo."""

SETTINGS = {"MUNIMENT_WINDOW_IDLE_SECONDS": "10"}
"""What a year played in a minute needs: its last windows, which nothing follows, close while the story is told."""
