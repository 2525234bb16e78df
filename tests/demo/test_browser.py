"""The page in a real Chromium: what a visitor does, on a desktop and on a phone."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from visits import visit

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}

expect.set_options(timeout=20_000)


@pytest.fixture
def page(browser: Browser, demo_address: str) -> Iterator[Page]:
    permissions = ("camera", "clipboard-read", "clipboard-write")
    with visit(browser, demo_address, permissions=permissions) as opened:
        yield opened


def choose(page: Page, path: Path) -> None:
    page.set_input_files("#photograph input[type=file]", path)


def test_an_upload_shows_five_bars_the_answer_and_the_time(page: Page, flower: Path):
    expect(page.locator("#top5")).to_contain_text("Add or paste a photograph")
    choose(page, flower)
    expect(page.locator("#top5 meter[value]")).to_have_count(5)
    first = page.locator("#top5 meter").first
    shares = [float(bar.get_attribute("value") or 0) for bar in page.locator("#top5 meter").all()]
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1
    expect(first).to_have_attribute("aria-label", "pink-yellow dahlia")  # which it is
    expect(page.locator("#top5 .ff-answer")).to_contain_text("pink-yellow dahlia")
    expect(page.locator("#top5 .share").first).to_have_text(re.compile(r"\d+\.\d\s%$"))
    expect(page.locator("#top5 .ff-note")).to_have_text(re.compile(r"\d+ ms on \w+ \(.+\)"))


def test_it_shows_where_it_looked_and_which_photographs_are_like_it(page: Page, flower: Path):
    choose(page, flower)
    expect(page.locator("#why .ff-heat")).to_be_visible()
    assert page.locator("#why .ff-heat").evaluate("image => image.naturalWidth") > 200
    expect(page.locator("#why")).to_contain_text("similar training photographs")
    expect(page.locator("#why")).to_contain_text("“pink-yellow dahlia”")
    expect(page.locator("#top5 .ff-sure")).to_contain_text("of 100 answers like this are right")
    expect(page.locator("#top5 .ff-banner")).to_have_count(0)
    page.locator("#photograph button[aria-label*='emove']").click()
    expect(page.locator("#why .ff-heat")).to_have_count(0)


def test_what_is_no_flower_is_called_none_of_these(page: Page):
    page.locator("#examples button").nth(2).click()  # a cheetah
    expect(page.locator("#top5 .ff-answer")).to_contain_text("none of the 102 classes")
    expect(page.locator("#top5 .ff-banner")).to_contain_text("The nearest class is")
    expect(page.locator("#top5 meter")).to_have_count(5)


def test_an_example_is_classified_and_clearing_empties_the_result(page: Page):
    page.locator("#examples button").first.click()
    expect(page.locator("#top5 meter")).to_have_count(5)
    page.locator("#photograph button[aria-label*='emove']").click()
    expect(page.locator("#top5")).to_contain_text("Add or paste a photograph")


def test_a_text_called_jpg_is_refused_by_name_and_the_page_goes_on(
    page: Page, tmp_path: Path, flower: Path
):
    bad = tmp_path / "notes.jpg"
    bad.write_text("these are no pixels")
    choose(page, bad)
    toast = page.locator("[data-testid=toast-body]")
    expect(toast).to_contain_text("notes.jpg is not a photograph; expected JPEG")
    expect(page.locator("#photograph button[aria-label*='emove']")).to_have_count(0)
    expect(page.locator("#top5")).to_contain_text("Add or paste a photograph")
    choose(page, flower)
    expect(page.locator("#top5 meter")).to_have_count(5)
    choose(page, bad)  # replaced, not added: Gradio fires twice
    expect(page.locator("#top5")).to_contain_text("Add or paste a photograph")
    page.wait_for_timeout(500)
    expect(toast.get_by_text("notes.jpg is not a photograph")).to_have_count(2)  # one each time


def test_a_picture_from_the_clipboard_is_classified(page: Page):
    page.evaluate(
        """async () => {
          const canvas = document.createElement("canvas");
          canvas.width = canvas.height = 64;
          canvas.getContext("2d").fillRect(8, 8, 40, 40);
          const blob = await new Promise(done => canvas.toBlob(done, "image/png"));
          await navigator.clipboard.write([new ClipboardItem({"image/png": blob})]);
        }"""
    )
    page.locator("#photograph button[aria-label*='lipboard']").click()
    expect(page.locator("#top5 meter")).to_have_count(5)


def test_the_camera_is_classified(page: Page):
    page.locator("#photograph button[aria-label*='amera']").first.click()
    page.get_by_text("Click to Access Webcam").click()
    page.wait_for_function("document.querySelector('#photograph video')?.readyState >= 2")
    page.locator("#photograph button[aria-label='capture photo']").click()
    expect(page.locator("#top5 meter")).to_have_count(5)


@pytest.mark.parametrize("suffix", [".heic", ".tiff"])
def test_a_photograph_that_browsers_do_not_draw_is_shown_all_the_same(
    page: Page, tmp_path: Path, flower: Path, suffix: str
):
    pillow_heif.register_heif_opener()
    path = tmp_path / f"photograph{suffix}"
    Image.open(flower).save(path)
    choose(page, path)
    expect(page.locator("#top5 meter")).to_have_count(5)
    page.wait_for_function("document.querySelector('#preview img')?.naturalWidth > 100")
    expect(page.locator("#photograph img")).not_to_be_visible()
    choose(page, flower)  # one that they draw
    expect(page.locator("#preview img")).to_have_count(0)
    expect(page.locator("#photograph img")).to_be_visible()
    choose(page, path)
    expect(page.locator("#preview img")).to_be_visible()
    page.locator("#photograph button[aria-label*='emove']").click()
    expect(page.locator("#preview img")).to_have_count(0)
    expect(page.locator("#top5")).to_contain_text("Add or paste a photograph")


def test_every_tab_shows_its_content(page: Page):
    page.get_by_role("tab", name="Training history").click()
    for measure in ("loss", "accuracy"):
        expect(page.locator(f"#history-{measure} .marks")).to_be_visible()
    expect(page.get_by_text("best epoch on validation")).to_be_visible()
    page.get_by_role("tab", name="Evaluation").click()
    expect(page.get_by_text("right class in the top five")).to_be_visible()
    expect(page.locator("#confusions")).to_contain_text("Most confused")
    page.get_by_label("Find a class").fill("sunflower")
    table = page.locator("#per-class")
    expect(table.get_by_text("sunflower").locator("visible=true").first).to_be_visible()
    expect(table.get_by_text("fire lily").locator("visible=true")).to_have_count(0)
    expect(page.locator("#reliability .marks")).to_be_visible()
    expect(page.locator("#honesty")).to_contain_text("Classes in a set, on average")
    page.get_by_role("tab", name="Data", exact=True).click()
    expect(page.locator("#data")).to_contain_text("Likely label errors")
    page.get_by_role("tab", name="About").click()
    for text in ("efficientnet_lite0", "Limits", "gradio_client"):
        expect(page.get_by_text(text).locator("visible=true").first).to_be_visible()


def test_a_phone_shows_all_without_scrolling_sideways(page: Page, flower: Path):
    page.set_viewport_size(PHONE)
    page.reload()
    page.wait_for_selector("#photograph")
    choose(page, flower)
    expect(page.locator("#top5 meter")).to_have_count(5)
    for name in ("Classify", "Many photographs", "Training history", "Evaluation", "Data", "About"):
        page.get_by_role("tab", name=name).click()
        page.wait_for_timeout(400)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], f"{name} is {width} px wide"


def test_dark_mode_is_dark_and_nothing_is_loaded_from_other_sites(
    browser: Browser, demo_address: str, flower: Path
):
    opened = browser.new_page()
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(f"{demo_address}?__theme=dark")
    choose(opened, flower)
    expect(opened.locator("#top5 meter")).to_have_count(5)
    opened.get_by_role("tab", name="Training history").click()
    expect(opened.locator("#history-loss .marks")).to_be_visible()
    colour = opened.locator("#top5").evaluate("node => getComputedStyle(node).backgroundColor")
    assert max(int(part) for part in re.findall(r"\d+", colour)[:3]) < 60, colour
    chart = Image.open(io.BytesIO(opened.locator("#history-loss .marks").screenshot())).convert("L")
    assert np.median(np.asarray(chart)) < 60  # its ground is dark too
    outside = [url for url in asked if not url.startswith((demo_address, "data:", "blob:"))]
    assert outside == []
    opened.close()
