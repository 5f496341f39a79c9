"""Who calls, and with which right: API keys with the roles of the organisation, or `X-Actor` on loopback.

A key is `mun_<id>_<secret>`: 32 random bytes, shown once, kept as SHA-256 and compared in constant time. The key file holds
one JSON object a line: `{"id", "actor", "roles": [...], "sha256"}`.
"""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    SME = "sme"
    DATA_SCIENTIST = "data_scientist"
    DATA_ENGINEER = "data_engineer"
    SOFTWARE_ENGINEER = "software_engineer"
    DEVOPS = "devops"
    RISK_MANAGER = "risk_manager"
    AUDITOR = "auditor"
    ARCHITECT = "architect"
    ADMIN = "admin"
    SERVICE = "service"


ALL_ROLES = frozenset(Role)


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody known. `roles` decide what they may do; `admin` may everything."""

    actor: str
    roles: frozenset[Role]

    def may(self, allowed: frozenset[Role]) -> bool:
        return Role.ADMIN in self.roles or bool(self.roles & allowed)
