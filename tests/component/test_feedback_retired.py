"""A flag on what is no longer in service is kept, counted, answered, and in the lineage, as any other."""

from pathlib import Path

from tests.component.whole_story import told


async def test_a_flag_on_a_retired_version_is_kept(tmp_path: Path) -> None:
    async with told(tmp_path) as story:
        retired = await story.post("/v1/deployments/late/retire", reason="replaced")
        assert retired["type"], retired
        client = story.system.client
        seen = (await client.get("/v1/deployments/late")).json()
        assert seen["state"] == "retired"
        raised = await story.post(
            "/v1/flags", "ana", prediction_id=story.prediction, category="too_late", severity="critical", expected=1
        )
        assert raised["located"] is True
        bulk = {"category": "odd", "query": {"deployment": "late"}}
        many = await story.post("/v1/flags:bulk", "ana", **bulk)
        done = (await client.get(many["job"])).json()
        assert (done["state"], done["flagged"]) == ("completed", 2)
        kept = (await client.get(f"/v1/flags/{raised['id']}")).json()
        version = kept["version"]
        assert (kept["state"], kept["deployment"], version in (1, 2)) == ("open", "late", True)
        gate = (await client.get(f"/v1/models/late/versions/{version}/gate", params={"stage": "production"})).json()
        assert raised["id"] in str([rule for rule in gate["rules"] if not rule["passed"]])
        rates = (await client.get("/v1/rates", params={"deployment": "late"})).json()
        assert rates["by_category"]["too_late"]["flagged"] == 1
        lineage = (await client.get(f"/v1/lineage/flag/{raised['id']}", params={"depth": 6})).json()
        assert {f"late/{version}", f"late@{version}"} & set(_texts(lineage)), lineage
        answer = await story.post(
            f"/v1/flags/{raised['id']}/resolve", resolution="label_corrected", comment="So it was."
        )
        assert answer["type"] == "FlagResolved"
        outcome = (await client.get(f"/v1/predictions/{story.prediction}")).json()["outcome"]
        assert outcome["value"] == 1.0


def _texts(document: object) -> list[str]:
    """All texts of a document, however deep."""
    if isinstance(document, dict):
        return [text for value in document.values() for text in _texts(value)]
    if isinstance(document, list):
        return [text for value in document for text in _texts(value)]
    return [document] if isinstance(document, str) else []
