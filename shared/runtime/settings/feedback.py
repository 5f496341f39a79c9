"""Flags, bulks, reviews, rules, corrections and attachments."""

from pydantic import SecretStr

from shared.runtime.settings.environment import Environment


class FeedbackSettings(Environment):
    flags_open_threshold: int = 10
    """Open flags of one deployed version at which `FlagThresholdBreached` is stated, where no limits were set."""

    max_bulk_flags: int = 1_000_000
    """Predictions that one bulk may flag."""

    max_bulk_pending: int = 10_000
    """Predictions not known yet that one bulk may leave waiting; what a list names beyond them is refused, and told."""

    max_bulks: int = 100
    """Bulks that may be under way at once; who asks then is told to try again."""

    bulk_seconds: float = 0.2
    """How often new bulks are looked for."""

    flags_pending_seconds: float = 7 * 86_400.0
    """How long a flag waits for a prediction that is not known; then whoever raised it is told."""

    flags_per_minute: int = 2_000
    """Flags that one user may raise singly, or in lists of words of their own, in a minute; bulks are for more."""

    max_review_rows: int = 2_000_000
    """Predictions from which one review may draw."""

    max_review_items: int = 5_000
    """Predictions that one review may have looked at."""

    max_rules: int = 100
    """Business rules that one deployment is held to at once."""

    max_correction_rows: int = 1_000_000
    """Rows of one data set of corrections."""

    corrections_url: str = ""
    """Where data sets of corrections lie: a folder or `s3://BUCKET/PREFIX`; empty: `corrections` in `data_dir`."""

    flags_due_seconds: dict[str, float] = {
        "critical": 14_400.0,
        "high": 86_400.0,
        "medium": 604_800.0,
        "low": 2_592_000.0,
    }
    """Until when a flag has to be answered, by severity, as a JSON object."""

    flag_link_seconds: float = 30 * 86_400.0
    """How long a signed link may be good for at most."""

    flag_signing_key: SecretStr | None = None
    """Signs links that flag with one click; API processes on several machines need the same one. None: kept in a file
    in `data_dir`."""

    attachments_url: str = ""
    """Where attachments of flags lie: a folder or `s3://BUCKET/PREFIX`; empty: `attachments` in `data_dir`."""

    max_attachment_bytes: int = 2**20
    max_attachments: int = 10
    """Size of one attachment, and how many one flag may have."""
