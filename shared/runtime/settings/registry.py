"""Aliases, references, lineage, policies and gates."""

from typing import Literal

from shared.runtime.settings.environment import Environment


class RegistrySettings(Environment):
    alias_gates: dict[str, Literal["staging", "production"]] = {"champion": "production"}
    """Aliases of models that point only at versions whose gate of this stage is open."""

    alias_roles: dict[str, tuple[str, ...]] = {"champion": ("data_scientist", "devops", "risk_manager")}
    """Roles that may move these aliases; whoever may move aliases at all may move all others."""

    lineage_batch_events: int = 1_000
    """OpenLineage events of one batch."""

    mlflow_max_page: int = 10_000
    """Models or versions of one answer to a search through MLflow's API, whatever it asks for."""

    mlflow_max_scanned: int = 100_000
    """Rows that one such search looks through; what is left is found with the page's token."""

    reference_values: int = 10_000
    """Values per feature that a version's reference may hold."""

    reference_total_values: int = 400_000
    """Values of all features together that are kept of a reference read from a file."""

    reference_places: tuple[str, ...] = ("file:///", "s3://", "gs://")
    """Beginnings of the URIs that a reference may be read from, as a JSON list."""

    max_reference_bytes: int = 256 * 2**20
    reference_seconds: float = 30.0
    """How long the reading of a reference may take."""

    gate_lapse_seconds: float = 1.0
    """How often gates are looked at that time alone may have changed, and those that wait to be judged in pieces."""

    snapshot_seconds: float = 30.0
    """How often each process of the registry looks for models whose folded state is to be kept as a snapshot."""

    snapshot_events: int = 1_000
    """By how many events a model's stream has grown then since its last snapshot."""

    policy_two_people: bool = False
    """Whether every change of a gate's policy takes a second person, whatever the policy in force says."""

    exception_days: int = 90
    """Days for which an exception from a rule may be granted at most."""

    what_if_releases: int = 10_000
    """Releases, and versions, that one question about a proposed policy goes through."""
