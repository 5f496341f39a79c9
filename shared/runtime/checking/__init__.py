"""The views of a service checked: replayed from the log's start into a scratch store, then compared row by row.

`scratch` the service that replays · `replaying` up to given offsets · `rows` values that can be compared ·
`walking` two stores in key order · `outcome` what was found · `checking` all of it, with a second look at what moved
meanwhile · `recording` the outcome as an event, and checks by schedule.
"""

from shared.runtime.checking.checking import check_views
from shared.runtime.checking.outcome import CODES, Difference, Outcome, as_json, gravest
from shared.runtime.checking.recording import Checks, Scratch, record

__all__ = ["CODES", "Checks", "Difference", "Outcome", "Scratch", "as_json", "check_views", "gravest", "record"]
