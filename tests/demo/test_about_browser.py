"""The About tab in a real Chromium: its programs run as they stand there, and its files arrive."""

import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import onnxruntime
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from demo.about.downloads import NoFileError, OnnxFile
from demo.page import build
from demo.serve import launch
from demo.uploads import UploadFolder
from model.checkpoints.checkpoint import SHIPPED
from model.classifier import Classifier

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}
ANSWER = "pink-yellow dahlia"

NEEDS_NODE = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")

expect.set_options(timeout=20_000)


def about(page: Page, address: str) -> Page:
    page.set_default_timeout(20_000)
    page.goto(address)
    page.get_by_role("tab", name="About").click()
    expect(page.locator("[data-code=python] [data-address]")).not_to_have_text("ADDRESS")
    return page


@pytest.fixture
def page(browser: Browser, demo_address: str) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1200, "height": 860})
    yield about(opened, demo_address)
    opened.close()


@pytest.fixture
def work(tmp_path: Path, flower: Path) -> Path:
    """A folder with a photograph.jpg, as a visitor's."""
    shutil.copy(flower, tmp_path / "photograph.jpg")
    return tmp_path


@pytest.fixture(scope="module")
def closed_address(shipped: Classifier, uploads: UploadFolder) -> Iterator[str]:
    """The address of a page that asks USER for PASSWORD."""
    demo = build(shipped)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = {"server_name": "127.0.0.1", "server_port": port, "auth": ("USER", "PASSWORD")}
    yield launch(demo, max_bytes=10**7, uploads=uploads, **where)
    demo.close(verbose=False)


@pytest.fixture
def closed(browser: Browser, closed_address: str) -> Iterator[Page]:
    context = browser.new_context()
    opened = context.new_page()
    opened.goto(closed_address)
    opened.get_by_label("username").fill("USER")
    opened.get_by_label("password").fill("PASSWORD")
    opened.get_by_role("button", name="Login").click()
    opened.wait_for_selector("#photograph")
    about(opened, closed_address)
    expect(opened.locator(".ff-signed-in")).to_be_visible()
    yield opened
    context.close()


def program(page: Page, language: str) -> str:
    return page.locator(f"[data-code={language}] code").text_content() or ""


def output(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run(language: str, code: str, folder: Path) -> str:
    """Run a program of the page in the folder that has photograph.jpg."""
    if language == "curl":
        if shutil.which("sh") is None:
            pytest.skip("There is no POSIX shell, for which the curl program is written.")
        return output(["sh", "-c", code], folder)
    name = {"python": "call.py", "javascript": "classify.mjs"}[language]
    (folder / name).write_text(code)
    return output([sys.executable if language == "python" else "node", name], folder)


def in_browser(page: Page, code: str, photograph: Path) -> list:
    """Run the part of the JavaScript that browsers and Node share, on the page itself."""
    shared, _, rest = code.partition("// Node 18")
    assert "classify(photograph)" in rest
    page.evaluate("() => { window.file = document.createElement('input'); file.type = 'file'; }")
    chosen = page.evaluate_handle("document.body.appendChild(window.file)").as_element()
    assert chosen
    chosen.set_input_files(photograph)
    return page.evaluate(f"async () => {{ {shared}\nreturn classify(window.file.files[0]); }}")


def test_python_and_curl_run_as_they_stand_there(page: Page, work: Path):
    assert ANSWER in run("python", program(page, "python"), work)
    assert f'"label": "{ANSWER}"' in run("curl", program(page, "curl"), work)


def test_curl_prints_json_in_lines(page: Page, work: Path):
    said = run("curl", program(page, "curl"), work)
    answer, details = json.loads(said)
    assert answer["label"] == details["top"][0]["label"] == ANSWER
    assert len(said.splitlines()) > 8


def test_curl_says_what_is_wrong_with_a_photograph(page: Page, tmp_path: Path):
    (tmp_path / "photograph.jpg").write_text("no pixels")
    said = run("curl", program(page, "curl"), tmp_path)
    assert said.startswith("event: error\n")


def test_javascript_runs_as_it_stands_there(page: Page, work: Path):
    code = program(page, "javascript")
    answer, details = in_browser(page, code, work / "photograph.jpg")
    assert answer["label"] == ANSWER and details["set"] == [ANSWER]


@NEEDS_NODE
def test_javascript_runs_in_node_as_it_stands_there(page: Page, work: Path):
    assert ANSWER in run("javascript", program(page, "javascript"), work)


def test_where_a_sign_in_is_asked_for_the_programs_sign_in(closed: Page, work: Path):
    assert ANSWER in run("python", program(closed, "python"), work)
    assert f'"label": "{ANSWER}"' in run("curl", program(closed, "curl"), work)
    code = program(closed, "javascript")
    assert 'password: "PASSWORD"' in code and "...headers, cookie}" in code


@NEEDS_NODE
def test_where_a_sign_in_is_asked_for_node_signs_in(closed: Page, work: Path):
    assert ANSWER in run("javascript", program(closed, "javascript"), work)


def test_without_a_sign_in_nothing_speaks_of_passwords(page: Page):
    expect(page.locator(".ff-signed-in")).to_be_hidden()
    for language in ("python", "curl", "javascript"):
        assert "PASSWORD" not in program(page, language)


def test_the_address_is_the_one_in_the_browser_path_included(browser: Browser, demo_address: str):
    opened, address = browser.new_page(), demo_address.rstrip("/")

    def cut(route: Route) -> None:
        """Do as a proxy that cuts off the path and says nothing of it."""
        if "heartbeat" in route.request.url:
            return route.abort()
        return route.fulfill(response=route.fetch(url=route.request.url.replace("/a'b/", "/")))

    opened.route(re.compile("/a'b/"), cut)
    about(opened, f"{address}/a'b/?__theme=dark")
    for language in ("python", "curl", "javascript"):
        assert f'"{address}/a%27b"' in program(opened, language)
    opened.close()


def test_a_click_or_a_key_copies_and_says_so(browser: Browser, demo_address: str):
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    opened = about(context.new_page(), demo_address)
    opened.get_by_role("button", name="curl", exact=True).focus()
    opened.keyboard.press("Enter")
    expect(opened.get_by_role("button", name="curl", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
    expect(opened.locator("[data-code=python]")).to_be_hidden()
    opened.get_by_role("button", name="Copy the curl program").focus()
    opened.keyboard.press("Enter")
    expect(opened.locator("#ff-said")).to_have_text("Copied")
    expect(opened.locator("#ff-said")).to_have_attribute("role", "status")
    assert opened.evaluate("navigator.clipboard.readText()") == program(opened, "curl")
    context.close()


def test_where_the_clipboard_is_refused_the_program_is_selected(page: Page):
    page.evaluate(
        """() => {
          navigator.clipboard.writeText = async () => { throw new Error("refused"); };
        }"""
    )
    page.get_by_role("button", name="Copy the Python program").click()
    expect(page.locator("#ff-said")).to_contain_text("The text is selected")
    selected = page.evaluate("getSelection().toString()")
    assert selected.strip() == program(page, "python").strip()


def test_card_and_onnx_file_are_downloaded(page: Page, tmp_path: Path):
    with page.expect_download() as card:
        page.get_by_role("button", name="Download model card").click()
    assert card.value.suggested_filename == "flowers102-model-card.md"
    text = (SHIPPED / "README.md").read_text(encoding="utf-8")
    taken = card.value.path().read_text(encoding="utf-8")
    assert taken == text.replace("THIS_FOLDER", "demo/flowers102")
    with page.expect_download(timeout=120_000) as file:
        page.get_by_role("button", name="Download ONNX file").click()
        expect(page.locator("#onnx-said-predict")).to_contain_text("The file is being made.")
    said = page.locator("#onnx-said-predict [role=status], #onnx-said-predict[role=status]")
    expect(said).to_contain_text("MB. The download starts now.")
    file.value.save_as(tmp_path / file.value.suggested_filename)
    session = onnxruntime.InferenceSession(tmp_path / "flowers102.onnx")
    assert session.get_outputs()[0].name == "probabilities"


def test_where_there_is_no_onnx_file_the_page_says_why(page: Page, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> Path:
        raise NoFileError("This server has no <b>onnx</b>.")

    monkeypatch.setattr(OnnxFile, "get", fail)
    page.get_by_role("button", name="Download ONNX file").click()
    expect(page.locator("[data-testid=toast-body]")).to_contain_text("has no <b>onnx</b>.")
    expect(page.locator("#onnx-said-predict")).not_to_contain_text("being made")


def test_gradios_description_opens_where_the_tab_says(page: Page):
    expect(page.locator(".ff-wide")).to_contain_text("“Use via API” at the bottom")
    page.get_by_role("button", name="Use via API").click()
    expect(page.get_by_text("/predict").first).to_be_visible()


def test_a_phone_shows_all_of_it_without_sideways_scrolling(browser: Browser, demo_address: str):
    opened = browser.new_page(viewport=PHONE)
    about(opened, demo_address)
    for language in ("Python", "curl", "JavaScript"):
        opened.get_by_role("button", name=language, exact=True).click()
        width = opened.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], language
    expect(opened.locator(".ff-wide")).to_be_hidden()  # nor does Gradio show that button there
    expect(opened.get_by_role("button", name="Use via API")).to_be_hidden()
    opened.close()
