"""The console as people meet it: an expert flags with one click and is answered, in a real browser."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import DEPLOYMENT, Given

UNNAMED = """() => [...document.querySelectorAll('input:not([type=hidden]), select, textarea, progress')]
    .filter(one => !one.labels.length && !one.getAttribute('aria-label')).map(one => one.outerHTML)"""
TWICE = """() => { const ids = [...document.querySelectorAll('[id]')].map(one => one.id);
    return ids.filter((id, place) => ids.indexOf(id) !== place); }"""


def sign_in(page: Page, given: Given, name: str, path: str = "") -> None:
    page.goto(f"{given.url}/console{path}")
    page.get_by_label("Your API key; or your name").fill(name)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text(f"Signed in as {name}")).to_be_visible()


def test_an_expert_understands_flags_and_is_answered(given: Given, visitor: Callable[[], Page]) -> None:
    ana, dan = visitor(), visitor()
    sign_in(ana, given, "ana")
    search = ana.get_by_role("search").nth(1)
    search.get_by_label("Deployment").fill(DEPLOYMENT)
    search.get_by_label("Segment").fill("JFK")
    search.get_by_role("button", name="Search").click()
    ana.get_by_role("link", name=given.ids[-1]).click()
    expect(ana.get_by_role("heading", name="What the model said")).to_be_visible()
    given_values = ana.locator("dl").first
    expect(given_values).to_contain_text("departure_delay")
    expect(given_values).to_contain_text("55")
    expect(ana.get_by_text("Departure delay of 55 min raised the risk of a late arrival")).to_be_visible()
    past = ana.locator("table", has_text="Distance 0 is an equal case")
    expect(past.get_by_role("link", name=given.ids[-2])).to_be_visible()
    ana.get_by_role("button", name="Wrong answer").click()  # the one click
    expect(ana.get_by_role("status")).to_contain_text("Your flag is on record")
    flag = ana.url.partition("?")[0]
    sign_in(dan, given, "dan", "/queue")
    dan.get_by_role("link", name="wrong answer").click()
    expect(dan).to_have_url(flag)
    dan.get_by_label("Owner").fill("dan")
    dan.get_by_role("button", name="Give it").click()
    dan.get_by_label("Say something").fill("Which storm was it? <b>Do tell</b>")
    dan.get_by_role("button", name="Say it").click()
    expect(dan.get_by_text("Which storm was it? <b>Do tell</b>")).to_be_visible()
    dan.get_by_label("Outcome").select_option("label_corrected")
    dan.get_by_label("Right label").fill("1")
    dan.get_by_label("Reason").fill("It landed 90 minutes late.")
    dan.get_by_role("button", name="Answer", exact=True).click()
    expect(dan.get_by_text("Answered. Who flagged is told.")).to_be_visible()
    ana.get_by_role("link", name="Notices").click()
    expect(ana.get_by_text("dan answered 'label corrected': It landed 90 minutes late.")).to_be_visible()
    ana.get_by_role("link", name="Flags").click()
    expect(ana.get_by_text("label corrected: It landed 90 minutes late.")).to_be_visible()
    [kept] = given.client("ana").get("/v1/flags", mine="true")["items"]
    assert (kept["prediction_id"], kept["assignee"], kept["label"]) == (given.ids[-1], "dan", 1.0)


def test_many_are_flagged_by_a_query_whose_progress_is_shown(given: Given, visitor: Callable[[], Page]) -> None:
    page = visitor()
    sign_in(page, given, "eva", "/bulks")
    form = page.locator("section", has_text="All that meet a query")
    form.get_by_label("Deployment").fill(DEPLOYMENT)
    form.get_by_label("From").fill("2013-07-03")
    form.get_by_label("Before").fill("2013-07-04")
    form.get_by_label("Conditions").fill("feature.departure_delay >= 30\nfeature.carrier = UA")
    form.get_by_label("What is wrong").fill("overestimated")
    form.get_by_role("button", name="Flag them all").click()
    expect(page.get_by_text("Completed.")).to_be_visible()
    assert page.locator("dd").nth(1).inner_text() == "6"
    page.get_by_role("link", name="1/overestimated/medium").click()
    expect(page.get_by_text(f"6 predictions of {DEPLOYMENT}, version 1")).to_be_visible()
    page.go_back()
    page.get_by_role("link", name="Many at once").click()
    form.get_by_label("Deployment").fill(DEPLOYMENT)
    form.get_by_label("What is wrong").fill("odd")
    form.get_by_label("Conditions").fill("carrier is AA")
    form.get_by_role("button", name="Flag them all").click()
    expect(page.get_by_role("alert")).to_contain_text("'/query/where/0/op'")
    expect(page.get_by_text("Nothing was changed.")).to_be_visible()


def test_a_signed_link_needs_no_account_and_says_plainly_what_is_wrong(
    given: Given, visitor: Callable[[], Page]
) -> None:
    said = {"prediction_id": given.ids[0], "category": "missed_delay", "comment": "Crew's own", "actor": "crew 7"}
    path = given.client("ana").post("/v1/flag-links", said)["path"]
    page = visitor()
    page.goto(given.url + path)
    expect(page.get_by_text(f"{given.ids[0]}: missed delay, severity medium")).to_be_visible()
    page.get_by_role("button", name="Flag it").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    expect(page.locator("small")).to_contain_text("Flag ")
    flag = page.locator("small").inner_text().removeprefix("Flag ")
    with given.client("dan") as dan:
        said = {"resolution": "works_as_intended", "comment": "The crew was <early>."}
        answered = dan.post(f"/v1/flags/{flag}/resolve", said)
        dan.get(f"/v1/flags/{flag}", after=answered["event_id"])
    page.goto(given.url + path)
    expect(page.get_by_text("It was answered: works as intended. The crew was <early>.")).to_be_visible()
    page.goto(given.url + path[:-4])
    expect(page.get_by_role("alert")).to_contain_text("was changed on its way")


def test_pages_name_what_they_ask_for(given: Given, visitor: Callable[[], Page]) -> None:
    page = visitor()
    sign_in(page, given, "ana")
    for path in ("", f"/predictions/{given.ids[0]}", "/flags?whose=all", "/queue", "/bulks", "/notices", "/nowhere"):
        page.goto(f"{given.url}/console{path}")
        assert page.evaluate(UNNAMED) == [], path
        assert page.evaluate(TWICE) == [], path
        assert page.locator("h1").count() == 1, path
        assert page.locator("html").get_attribute("lang") == "en", path
