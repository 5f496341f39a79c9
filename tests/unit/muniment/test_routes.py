"""Every path of the edge reaches the service that owns it."""

import pytest

from muniment.routes import ServiceUrls, service_of


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/v1/goals", "registry"),
        ("/v1/kpis", "registry"),
        ("/v1/models/late/versions/2/gate", "registry"),
        ("/v1/pipelines/p/runs", "registry"),
        ("/api/v1/lineage", "registry"),
        ("/api/v1/lineage/batch", "registry"),
        ("/v1/deployments", "deployer"),
        ("/v1/deployments/late", "deployer"),
        ("/v1/deployments/late/traffic", "deployer"),
        ("/v1/deployments/windows/promote", "deployer"),
        ("/v2/models/late/infer", "deployer"),
        ("/v1/deployments/late/windows", "monitor"),
        ("/v1/deployments/late/drift", "monitor"),
        ("/v1/deployments/late/kpis", "monitor"),
        ("/v1/deployments/late/experiments", "monitor"),
        ("/v1/deployments/late/predictions", "monitor"),
        ("/v1/deployments/late/retention", "monitor"),
        ("/v1/predictions/abc", "monitor"),
        ("/v1/outcomes", "monitor"),
        ("/v1/alert-routes/r", "monitor"),
        ("/v1/alert-deliveries/d/replay", "monitor"),
        ("/v1/subjects:forget", "monitor"),
        ("/v1/subjects/ada:forget", "monitor"),
        ("/v1/flags/f/triage", "feedback"),
        ("/v1/flags:bulk", "feedback"),
        ("/v1/flag-links/token", "feedback"),
        ("/v1/flag-limits/d", "feedback"),
        ("/v1/notices/stream", "feedback"),
        ("/v1/reviews/r/judgements", "feedback"),
        ("/v1/rules/r/retire", "feedback"),
        ("/v1/corrections", "feedback"),
        ("/v1/lineage/model/late", "audit"),
        ("/v1/estate", "audit"),
        ("/v1/estate/diff", "audit"),
        ("/v1/dossier/abc-1", "audit"),
        ("/v1/touched/dataset/d@1", "audit"),
        ("/v1/verifications", "audit"),
        ("/checkpoint", "audit"),
    ],
)
def test_a_path_reaches_its_owner(path: str, service: str) -> None:
    assert service_of(path) == service


def test_a_path_that_all_services_have_must_name_one() -> None:
    with pytest.raises(ValueError, match="name a service"):
        service_of("/health/ready")


def test_one_base_url_answers_every_path() -> None:
    urls = ServiceUrls("http://here:1/")
    assert urls.of("/v1/goals") == "http://here:1/v1/goals"
    assert urls.of("audit:/health/ready") == "http://here:1/health/ready"


def test_services_apart_are_reached_by_owner_or_by_name() -> None:
    urls = ServiceUrls({"registry": "http://r", "audit": "http://a"})
    assert urls.of("/v1/models") == "http://r/v1/models"
    assert urls.of("audit:/v1/dead-letters:replay") == "http://a/v1/dead-letters:replay"
