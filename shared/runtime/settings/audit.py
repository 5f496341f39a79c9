"""Lineage, reports, the tree and its checkpoints, the ledger and proofs."""

from pathlib import Path
from typing import Literal

from shared.runtime.settings.environment import Environment


class AuditSettings(Environment):
    lineage_max_depth: int = 20
    lineage_max_nodes: int = 10_000
    lineage_max_drawn: int = 150
    """Things that a picture of a lineage shows; the nearest come first and the rest is counted."""

    touched_max_sources: int = 1_000
    """Versions whose batches of predictions one question about what a thing touched goes through."""

    public_url: str = ""
    """Where readers of reports reach this system; empty: as the request did, or at host and port where it was none."""

    reports_url: str = ""
    """Where issued reports lie: a folder or `s3://BUCKET/PREFIX`; empty: `reports` in `data_dir`."""

    report_fonts: Path | None = None
    """Folder of fonts for PDFs in scripts other than Latin, Greek and Cyrillic."""

    report_schedule: Literal["off", "daily", "weekly", "monthly", "quarterly"] = "off"
    """How often a report on each model, and on all, is issued as of the period's end (UTC)."""

    report_check_seconds: float = 60.0
    """How often the schedule is looked at."""

    report_max_events: int = 50_000
    """Events that one question of a report or export reads; beyond it the newest count, and the report says so."""

    max_reports: int = 2
    """Reports that one process renders at once."""

    max_export_rows: int = 5_000_000
    """Events that one export of the log holds at most."""

    signing_key: Path | None = None
    """File of the private key that signs checkpoints, made at the first start; None: `signing.key` in `data_dir`.
    Workers of the audit on several machines need the same one."""

    public_tree: Literal["nothing", "hashes", "entries"] = "nothing"
    """What of the tree is answered without an API key. `hashes`: `/checkpoint` and tiles of hashes, as witnesses and
    mirrors read them, which tell how much is recorded and when, and nothing of what; `entries`: every event, too."""

    tree_origin: str = ""
    """Name of the tree in its checkpoints, such as `example.org/models`; empty: made at the first start."""

    checkpoint_seconds: float = 5.0
    """How often what is new in the log gets into the tree and a checkpoint is signed."""

    checkpoint_max_leaves: int = 50_000
    checkpoint_max_runs: int = 1_000
    """Leaves, and stretches of the log, that one checkpoint covers at most; more go into the next at once."""

    checkpoint_urls: tuple[str, ...] = ()
    """Where checkpoints are copied to: folders or `s3://BUCKET/PREFIX`, best in other hands. As a JSON list."""

    witnesses: tuple[str, ...] = ()
    """Witnesses (C2SP tlog-witness) that cosign checkpoints: `URL VERIFIERKEY` each. As a JSON list."""

    publish_seconds: float = 10.0
    """How often the newest checkpoint is copied and shown to the witnesses."""

    witness_seconds: float = 10.0
    """How long a witness may take to answer."""

    ledger_hot_days: int = 0
    """Days after which entries of the ledger go into cold parts, in Parquet; 0: age is no reason."""

    ledger_hot_leaves: int = 0
    """Newest leaves of the tree whose entries stay in the ledger, older ones go into cold parts; 0: no reason."""

    ledger_part_leaves: int = 65_536
    """Leaves of one cold part: a power of two, 256 at least (else the next smaller one)."""

    ledger_url: str = ""
    """Where cold parts lie: a folder or `s3://BUCKET/PREFIX`, the same for API and worker; empty: `ledger` in
    `data_dir`."""

    ledger_archive_seconds: float = 60.0
    """How often it is looked whether a part is due."""

    ledger_cache_bytes: int = 64 * 2**20
    """Entries of cold parts that a process remembers, for its API and for its worker each."""

    max_proofs: int = 1_000
    """Events of one proof bundle, and entries of one page of the tree."""

    verification_seconds: float = 0.0
    """How often a verification runs by itself; 0: only when asked for."""
