"""The icon and the manifest, with which a page can be installed."""

import io
import json
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from demo.icon import ICON


def get(address: str) -> tuple[bytes, str]:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return answer.read(), answer.headers["content-type"]


def test_the_icon_is_small_square_and_stands_out_at_16_px():
    assert ICON.stat().st_size < 30_000
    with Image.open(ICON) as image:
        assert image.size == (512, 512)
        small = image.convert("RGBA").resize((16, 16), Image.Resampling.LANCZOS)
    assert np.asarray(small)[8, 8, 3] == 255
    assert np.ptp(np.asarray(small.convert("L"))[8].astype(int)) > 100


def test_the_browsers_tab_shows_the_icon(demo_address: str):
    content, kind = get(f"{demo_address}favicon.ico")
    assert kind == "image/png"
    assert content == ICON.read_bytes()


def test_the_manifest_names_the_page_and_icons_of_the_size_that_it_says(demo_address: str):
    content, kind = get(f"{demo_address}manifest.json")
    manifest = json.loads(content)
    assert kind == "application/manifest+json"
    assert manifest["name"] == "Which of 102 flowers is it? - Frostflower"
    assert [icon["sizes"] for icon in manifest["icons"]] == ["192x192", "512x512"]
    for icon in manifest["icons"]:
        assert icon["src"].startswith("/pwa_icon/")
        drawn, kind = get(demo_address.rstrip("/") + icon["src"])
        assert kind == icon["type"] == "image/png"
        with Image.open(io.BytesIO(drawn)) as image:
            assert f"{image.width}x{image.height}" == icon["sizes"]


@pytest.mark.parametrize("size", ["50000", "-1", "0", "191"])
def test_icons_of_other_sizes_are_not_drawn(demo_address: str, size: str):
    with pytest.raises(urllib.error.HTTPError) as error:
        get(f"{demo_address}pwa_icon/{size}")
    assert error.value.code == 404


@pytest.mark.parametrize("path", ["pwa_icon", "pwa_icon?size=64", "pwa_icon/?size=64"])
def test_a_size_in_a_query_draws_nothing(demo_address: str, path: str):
    content, kind = get(f"{demo_address}{path}")
    assert kind == "image/png"
    assert content == ICON.read_bytes()


@pytest.mark.browser
def test_a_browser_can_install_the_page(browser: Browser, demo_address: str):
    page = browser.new_page()
    page.goto(demo_address)
    page.wait_for_selector(".ff-head h1")
    session = page.context.new_cdp_session(page)
    found = session.send("Page.getAppManifest")
    assert found["url"] == f"{demo_address}manifest.json"
    assert found["errors"] == []
    assert json.loads(found["data"])["icons"]
    errors = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert {error["errorId"] for error in errors} <= {"in-incognito"}  # as every test's browser is
    assert page.title() == "Which of 102 flowers is it? - Frostflower"
    page.close()
