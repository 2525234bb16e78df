"""The page without a browser: what it shows, its API, and the holes that are closed."""

import base64
import io
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from answers import predicted
from drawing import drawn_photograph
from gradio.components.image import ImageData
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from demo import charts
from demo.__main__ import parse, sign_in
from demo.evaluation import words
from demo.page import build
from demo.photo import Photo
from demo.serve import launch
from demo.sizes import parse_size
from demo.tabs import classify, evaluation
from demo.tabs.why import why
from model.backbones.transforms import Transforms
from model.classifier import AnswerEvidence, Similar
from model.explain.heat_map import HeatMap
from model.features.signatures import thumbnail
from model.photographs import images
from model.trust.metrics import confused_pairs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def photo(tmp_path: Path) -> Photo:
    component = Photo(type="pil")
    component.GRADIO_CACHE = str(tmp_path / "uploads")
    (tmp_path / "uploads").mkdir()
    return component


def upload(photo: Photo, content: bytes, name: str) -> ImageData:
    path = Path(photo.GRADIO_CACHE, name)
    path.write_bytes(content)
    return ImageData(path=str(path), orig_name=name)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_an_upload_is_decoded_by_the_library(photo: Photo):
    clear = encoded(Image.new("RGBA", (8, 6), (200, 0, 0, 0)), "PNG")
    sent = photo.preprocess(upload(photo, clear, "clear.png"))
    assert sent is not None
    image = sent.image
    assert (image.mode, image.size) == ("RGB", (8, 6))
    assert image.getpixel((0, 0)) == (255, 255, 255)
    grey = Image.new("I;16", (4, 4), 32768)
    scaled = photo.preprocess(upload(photo, encoded(grey, "PNG"), "grey.png"))
    assert scaled is not None
    assert scaled.image.getpixel((0, 0)) == (128, 128, 128)
    assert photo.preprocess(None) is None


def test_a_file_of_the_server_is_not_opened(photo: Photo, tmp_path: Path):
    secret = tmp_path / "secret.jpg"
    drawn_photograph(0.1, seed=1).save(secret)
    outside = [str(secret), f"{photo.GRADIO_CACHE}/../secret.jpg", ""]
    link = Path(photo.GRADIO_CACHE, "link.jpg")
    link.symlink_to(secret)
    for path in [*outside, str(link)]:
        with pytest.raises(gr.Error, match="is not an uploaded photograph"):
            photo.preprocess(ImageData(path=path))


def test_a_bad_upload_is_named_with_its_reason_and_escaped(photo: Photo):
    with pytest.raises(gr.Error, match=r"&lt;b&gt;\.jpg is not a photograph") as error:
        photo.preprocess(upload(photo, b"hello", "<b>.jpg"))
    assert "<b>" not in str(error.value)


def test_a_huge_picture_in_a_small_file_is_refused(photo: Photo):
    bomb = encoded(Image.new("1", (9000, 9000)), "PNG")
    with pytest.raises(gr.Error, match="81 million px"):
        photo.preprocess(upload(photo, bomb, "bomb.png"))


def test_a_data_url_goes_through_the_same_decoder_and_limit(photo: Photo):
    clear = encoded(Image.new("RGBA", (5, 5), (0, 0, 0, 0)), "PNG")
    text = "data:image/png;base64," + base64.b64encode(clear).decode()
    sent = photo.preprocess(ImageData(url=text))
    assert sent is not None
    assert sent.image.getpixel((2, 2)) == (255, 255, 255)
    with pytest.raises(gr.Error, match="is not valid base64"):
        photo.preprocess(ImageData(url="data:image/png;base64,*"))
    photo.max_bytes = 20
    with pytest.raises(gr.Error, match="is larger than"):
        photo.preprocess(ImageData(url=text))


def test_evidence_names_what_disagrees_and_what_was_seen():
    jpeg = thumbnail(drawn_photograph(0.1, 1))
    similar = [
        Similar("<rose>", "1", 0.1, "1/a&b.jpg", jpeg),
        Similar("tulip", "2", 0.9, "2/c.jpg", None),
    ]
    card = AnswerEvidence(similar, True, "1/a&b.jpg")
    transforms = Transforms(64)
    shown = why(drawn_photograph(0.1, 1), predicted(evidence=card), transforms)
    assert "one of the training photographs (1/a&amp;b.jpg)" in shown
    assert shown.count("<img") == 1
    assert shown.count('class="other"') == 1
    quiet = AnswerEvidence(similar, False, None)
    shown = why(drawn_photograph(0.1, 1), predicted(evidence=quiet), transforms)
    assert "ff-banner" not in shown
    assert why(drawn_photograph(0.1, 1), predicted(), transforms) == ""


def test_the_heat_map_is_painted_over_the_photograph():
    heat = HeatMap(np.eye(4, dtype=np.float32), 0.0, 4.0, 0)
    photo = drawn_photograph(0.1, 1, (90, 60))
    shown = why(photo, predicted(heat=heat), Transforms(64))
    data = base64.b64decode(shown.partition("base64,")[2].partition('"')[0])
    painted = Image.open(io.BytesIO(data))
    assert painted.size == (90, 60)
    assert np.abs(np.asarray(painted).astype(int) - np.asarray(photo)).mean() > 10


def row(epoch: int, valid: float) -> dict[str, float]:
    return {
        "epoch": epoch,
        "train_loss": 1.0,
        "train_accuracy": 0.5,
        "valid_loss": 1.0,
        "valid_accuracy": valid,
        "learning_rate": 0.1,
        "seconds": 1.0,
    }


def test_a_history_of_one_epoch_is_drawn_with_points():
    chart = json.loads(charts.history_chart([row(1, 0.5)], "accuracy").plot)
    assert [layer["mark"]["type"] for layer in chart["layer"]].count("point") == 2


def test_the_best_epoch_is_marked():
    chart = charts.history_chart([row(1, 0.5), row(2, 0.9), row(3, 0.7)], "loss").plot
    assert "best epoch, 2" in chart


@pytest.mark.parametrize(("text", "size"), [("10mb", 10**7), ("1.5 KB", 1500), ("7B", 7)])
def test_sizes_are_read(text: str, size: int):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "10", "mb", "-1mb", "0kb", "nanmb", "infmb"])
def test_a_wrong_size_is_an_error(text: str):
    with pytest.raises(ValueError, match="File size"):
        parse_size(text)


def test_a_wrong_sign_in_is_an_error_that_does_not_repeat_it():
    assert sign_in(None) is None
    assert sign_in("me:a:b") == ("me", "a:b")
    with pytest.raises(ValueError, match="USER:PASSWORD") as error:
        sign_in("hunter2")
    assert "hunter2" not in str(error.value)


def test_defaults_serve_this_machine_only():
    options = parse([])
    assert (options.host, options.port, options.share) == ("127.0.0.1", 7860, False)
    assert options.checkpoint is None  # the shipped flowers
    assert parse(["--checkpoint", "a", "--checkpoint", "b"]).checkpoint == ["a", "b"]


def test_only_two_ways_to_predict_are_public(shipped):
    demo = build(shipped)
    public = [name for name in demo.get_api_info()["named_endpoints"]]
    assert public == ["/predict", "/predict_only"]
    assert demo.api_open is False
    assert demo._queue.max_size
    assert demo.analytics_enabled is False


def test_the_examples_are_photographs_that_packages_bring(tmp_path: Path):
    flower, *others = classify.example_photographs(tmp_path)
    assert len(others) == 2 and all("site-packages" in str(other) for other in others)
    wide = images.decode(Path(str(files("sklearn.datasets.images") / "flower.jpg")))
    cut = images.decode(flower)
    assert cut.size == (270, 270)
    difference = np.asarray(cut).astype(int) - np.asarray(wide)[85:355, 170:440]
    assert np.abs(difference).mean() < 5


def test_the_api_answers_label_json(demo_address: str, flower: Path):
    answer, details = Client(demo_address, verbose=False).predict(
        handle_file(flower), api_name="/predict"
    )
    assert len(answer["confidences"]) == 5
    assert answer["label"] == answer["confidences"][0]["label"]
    shares = [entry["confidence"] for entry in answer["confidences"]]
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1.0001
    assert details["set"][0] == answer["label"] == details["top"][0]["label"]
    assert details["none_of_these"] is False
    distances = [similar["distance"] for similar in details["evidence"]["similar"]]
    assert len(distances) == 5 and distances == sorted(distances)
    assert "thumbnail" not in details["evidence"]["similar"][0]


def test_a_bad_photograph_fails_alone_among_visitors_who_come_together(
    demo_address: str, flower: Path, tmp_path: Path
):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(flower.read_bytes()[:2000])
    client = Client(demo_address, verbose=False)

    def predict(path: Path) -> str:
        try:
            return client.predict(handle_file(path), api_name="/predict")[0]["label"]
        except AppError as error:
            return str(error)

    alone = predict(flower)
    with ThreadPoolExecutor(32) as pool:  # more than are classified at once: the others wait
        answers = list(pool.map(predict, [flower, bad, *[flower] * 30]))
    assert answers[0] == alone and set(answers[2:]) == {alone}
    assert "bad.jpg is damaged or truncated" in answers[1]


def test_the_api_does_not_open_files_of_the_server(demo_address: str, tmp_path: Path):
    secret = tmp_path / "secret.jpg"
    drawn_photograph(0.1, seed=1).save(secret)
    body = json.dumps({"data": [{"path": str(secret)}]}).encode()
    address = f"{demo_address}gradio_api/call/predict"
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    event = json.load(urllib.request.urlopen(request, timeout=20))["event_id"]
    answer = urllib.request.urlopen(f"{address}/{event}", timeout=20).read().decode()
    assert "event: error" in answer
    assert "confidences" not in answer


def test_the_queue_cannot_be_passed_by(demo_address: str):
    request = urllib.request.Request(
        f"{demo_address}gradio_api/run/predict",
        json.dumps({"data": [None]}).encode(),
        {"Content-Type": "application/json"},
    )
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request, timeout=20)
    assert error.value.code in (401, 403, 404)


def test_a_file_over_the_limit_is_refused(demo_address: str):
    boundary = "frostflower"
    content = b"\xff\xd8" + bytes(11_000_000)
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
    ).encode() + content
    body += f"\r\n--{boundary}--\r\n".encode()
    request = urllib.request.Request(
        f"{demo_address}gradio_api/upload",
        body,
        {"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request, timeout=20)
    assert error.value.code == 413


def test_a_web_address_is_not_fetched(demo_address: str):
    body = {"data": [{"path": "http://example.com/a.jpg", "meta": {"_type": "gradio.FileData"}}]}
    address = f"{demo_address}gradio_api/call/predict"
    request = urllib.request.Request(
        address, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    event = json.load(urllib.request.urlopen(request, timeout=20))["event_id"]
    answer = urllib.request.urlopen(f"{address}/{event}", timeout=20).read().decode()
    assert "event: error" in answer
    assert "not its web address" in answer


@pytest.mark.parametrize(
    "payload",
    [
        ImageData(url="data:image/png;base64,\u00e9"),
        ImageData(path="a\0b"),
        ImageData(path="data:image/png;base64," + "A" * 4000),
    ],
)
def test_a_nonsense_payload_is_one_short_sentence(photo: Photo, payload: ImageData):
    with pytest.raises(gr.Error) as error:
        photo.preprocess(payload)
    assert len(str(error.value)) < 250


@pytest.mark.parametrize(("suffix", "drawable"), [("webp", True), ("TIF", False)])
def test_an_upload_says_whether_browsers_draw_it(photo: Photo, suffix: str, drawable: bool):
    content = encoded(Image.new("RGB", (40, 30)), "TIFF" if suffix == "TIF" else suffix.upper())
    sent = photo.preprocess(upload(photo, content, f"image.{suffix}"))
    assert sent is not None
    assert sent.drawable == drawable


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"server_port": 99999}, "--port 99999 is outside 1-65535"),
        ({"server_port": 0}, "--port 0 is outside"),
        ({"server_name": "nosuch.invalid"}, "--host nosuch.invalid is not an address"),
    ],
)
def test_a_wrong_address_is_an_error(shipped, uploads, options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        launch(build(shipped), max_bytes=10**6, uploads=uploads, **options)


def test_confused_pairs_and_headline_come_from_the_checkpoint(shipped):
    checkpoint = shipped.checkpoint
    assert words.headline_split(checkpoint) == "valid"
    confused = confused_pairs(checkpoint.metrics["splits"]["valid"])
    shown = words.pairs_table(confused, checkpoint, "valid")
    assert (not confused) == ("<table" not in shown)
    assert "818 validation photographs" in evaluation.subtitle(checkpoint)


def test_a_port_in_use_is_an_error_that_names_the_remedy(shipped, uploads, demo_address: str):
    port = int(demo_address.rstrip("/").rsplit(":", 1)[1])
    with pytest.raises(ValueError, match=f"Port {port} is in use. Choose another with --port"):
        where = {"server_name": "127.0.0.1", "server_port": port}
        launch(build(shipped), max_bytes=10**6, uploads=uploads, **where)


def test_the_space_entry_point_serves_the_checkpoint_of_the_environment(trained: Path):
    """As a Space starts it, but on the tiny checkpoint's stand-in backbone."""
    code = (
        "import runpy, sys; sys.path.insert(0, 'tests'); import tiny;"
        "from model.backbones import backbone;"
        "tiny.install(type('P', (), {'setattr': staticmethod(setattr)}));"
        "import demo.serve; stop = lambda demo, **options: print(demo.title) or sys.exit();"
        "demo.serve.launch = stop;"
        "sys.argv = ['demo/app.py']; runpy.run_path('demo/app.py', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "CHECKPOINT": str(trained), "XDG_CACHE_HOME": str(trained.parent)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.strip().endswith("Which of 3 classes is it? - Frostflower"), done.stderr
