"""Which service answers which path. Embedded, all stand behind one base URL."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_ROUTES = tuple(
    (re.compile(pattern), service)
    for pattern, service in (
        (
            r"/v1/deployments/[^/]+/(windows|drift|integrity|quality|kpis|fairness|experiments|predictions|archive|retention)\b",
            "monitor",
        ),
        (r"/v1/(predictions|outcomes|subjects|stream|alerts|alert-routes|alert-deliveries)\b", "monitor"),
        (r"/v1/deployments\b|/v2\b", "deployer"),
        (r"/v1/(flags|flag-links|flag-limits|breaches|triage|notices|attachments)\b", "feedback"),
        (r"/v1/(rates|experts|reviews|rules|corrections)\b", "feedback"),
        (
            r"/v1/(lineage|dossier|touched|estate|timeline|events|reports|issued-reports|verifications|proofs|export|keys)\b|/checkpoint$|/tile/",
            "audit",
        ),
        (r"/v1/(goals|kpis|datasets|pipelines|decisions|policies|models)\b|/api/v1/lineage(/batch)?$", "registry"),
        (r"/v1/(webhooks|webhook-deliveries)\b", "registry"),
    )
)


def service_of(path: str) -> str:
    """The service that owns a path. Raises ValueError where none does (such as /health, which all have)."""
    for pattern, service in _ROUTES:
        if pattern.match(path):
            return service
    raise ValueError(f"no service owns the path {path}; name a service")


def urls_of(text: str) -> str | dict[str, str]:
    """One base URL, or one per service, as `MUNIMENT_URL` holds them: `URL` or `SERVICE=URL,SERVICE=URL`."""
    if "=" not in text.split("://", 1)[0]:
        return text
    pairs = (pair.partition("=") for pair in text.split(","))
    return {service.strip(): url.strip() for service, _, url in pairs}


@dataclass(frozen=True, slots=True)
class ServiceUrls:
    """One base URL, or one per service name."""

    urls: str | Mapping[str, str]

    def of(self, path: str) -> str:
        """The full URL. A path may name its service first, as in `audit:/health/ready`."""
        named, colon, rest = path.partition(":")
        service, path = (named, rest) if colon and "/" not in named else (None, path)
        if isinstance(self.urls, str):
            return self.urls.rstrip("/") + path
        return self.urls[service or service_of(path)].rstrip("/") + path

    def bases(self) -> dict[str, str]:
        """Every base URL by service; `all` where there is one."""
        return {"all": self.urls} if isinstance(self.urls, str) else dict(self.urls)
