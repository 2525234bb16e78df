"""The answer limited to some classes, in Chromium: chosen, asked about at once, remembered."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from visits import visit

pytestmark = pytest.mark.browser

expect.set_options(timeout=20_000)


@pytest.fixture(params=[(1200, 860), (390, 844)], ids=["desktop", "phone"])
def page(request: pytest.FixtureRequest, browser: Browser, demo_address: str) -> Iterator[Page]:
    with visit(browser, demo_address, size=request.param) as opened:
        yield opened


def pick(page: Page, *names: str) -> None:
    box = page.locator("#only-classes input")
    for count, name in enumerate(names, page.locator("#only-classes .token").count() + 1):
        box.fill(name)
        page.get_by_role("option", name=name, exact=True).click()
        expect(page.locator("#only-classes .token")).to_have_count(count)


def title(page: Page) -> str:
    return page.locator("#only button").first.inner_text().split("\n")[0]


def test_a_choice_applies_at_once_and_stays_in_this_browser(page: Page, flower: Path):
    page.set_input_files("#photograph input[type=file]", flower)
    expect(page.locator("#top5 meter[value]")).to_have_count(5)
    page.locator("#only button").first.click()
    pick(page, "rose", "sunflower")
    said = page.locator("#top5 [role=status]")
    expect(said).to_contain_text("Without that limit the best guess would be pink-yellow dahlia")
    expect(said.locator(".ff-banner")).to_have_count(1)
    expect(page.locator("#top5 meter[value]")).to_have_count(2)
    pick(page, "pink-yellow dahlia")
    expect(said).to_contain_text("Only 3 of 102 classes were allowed; 2\N{NO-BREAK SPACE}% of the")
    expect(page.locator("#why")).to_contain_text("pink-yellow dahlia")
    expect(page.locator("#only")).to_contain_text("(3 chosen)")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.reload()
    expect(page.locator("#only")).to_contain_text("(3 chosen)")
    page.set_input_files("#photograph input[type=file]", flower)
    expect(page.locator("#top5 meter[value]")).to_have_count(3)
    page.locator("#only button").first.click()
    page.locator("#only-all").click()
    expect(page.locator("#top5 meter[value]")).to_have_count(5)
    expect(page.locator("#only")).not_to_contain_text("chosen)")
    page.reload()
    page.set_input_files("#photograph input[type=file]", flower)
    expect(page.locator("#top5 meter[value]")).to_have_count(5)
    assert title(page) == "Limit the answer to some classes"


def test_several_photographs_of_one_object_are_asked_again_together(page: Page, flower: Path):
    page.set_input_files("#photograph input[type=file]", flower)
    with page.expect_file_chooser() as chooser:
        page.locator("#more [data-add]").click()
    chooser.value.set_files(flower)
    expect(page.locator("#more [data-remove]")).to_have_count(1)
    page.locator("#only button").first.click()
    pick(page, "rose", "sunflower")
    expect(page.locator("#top5 meter[value]")).to_have_count(2)
    expect(page.locator("#more [data-remove]")).to_have_count(1)
    expect(page.locator("#top5")).to_contain_text("Averaged over 2 photographs")


@pytest.mark.parametrize("left", ["x:y", "", "no base64", "null"])
def test_what_somebody_left_in_the_browser_does_no_harm(left: str, page: Page, flower: Path):
    page.locator("#only button").first.click()
    pick(page, "rose", "sunflower")
    expect(page.locator("#only")).to_contain_text("(2 chosen)")
    spoil = "left => Object.keys(localStorage).forEach(key => localStorage.setItem(key, left))"
    page.evaluate(spoil, left)
    page.reload()
    page.set_input_files("#photograph input[type=file]", flower)
    expect(page.locator("#top5 meter[value]")).to_have_count(5)
    assert title(page) == "Limit the answer to some classes"
