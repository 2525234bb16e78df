"""Many photographs without a browser: what is accepted, shown, kept, and taken away."""

import csv
import io
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from drawing import drawn_photograph
from PIL import Image

from demo.many import downloads, incoming, status, view
from demo.many.batch import MOST_KEPT, REMOVED, Batch, Batches, Shelf
from demo.many.incoming import Sent, accept
from model.classifier import AnswerEvidence, Candidate, Prediction
from model.photographs.images import BadImageError
from model.predictions import csv_header, csv_row
from model.trust.levels import Answer

LIMIT = 1_000_000
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    return folder


@pytest.fixture
def batch(uploads: Path) -> Batch:
    return Batch(uploads)


def jpeg(uploads: Path, name: str, sent_as: str = "") -> Sent:
    path = uploads / name
    drawn_photograph(0.1, seed=1).save(path)
    return Sent(sent_as or name, str(path), path.stat().st_size)


def photograph() -> bytes:
    file = io.BytesIO()
    drawn_photograph(0.1, seed=1).save(file, "JPEG")
    return file.getvalue()


def predicted(
    label: str = "rose",
    *,
    share: float = 0.9,
    unknown: bool = False,
    names: Sequence[str] = ("rose",),
    disagree: bool = False,
) -> Prediction:
    top = [Candidate(label, f"id of {label}", share), Candidate("other", "0", 1 - share)]
    evidence = AnswerEvidence([], disagree, None)
    return Prediction(top, list(names), 0.99, unknown, 0.5, 0.01, evidence)


def fill(batch: Batch, uploads: Path, answers: dict[str, Prediction]) -> Batch:
    """A batch whose photographs have these names and answers."""
    files = [jpeg(uploads, f"{n}.jpg", name) for n, name in enumerate(answers)]
    accept(files, batch, uploads, LIMIT)
    following = iter(answers.values())
    for _ in batch.classify(lambda photos: [next(following) for photo in photos], 64):
        pass
    return batch


def shown(batch: Batch, **wanted: Any) -> list[str]:
    return [row.name for row in view.chosen(batch.done, view.Choice()._replace(**wanted))]


def test_filters_and_orders_show_what_they_say(batch: Batch, uploads: Path):
    fill(
        batch,
        uploads,
        {
            "b.jpg": predicted("rose", share=0.9),
            "a.jpg": predicted("tulip", share=0.4, names=("tulip", "rose")),
            "c.jpg": predicted("rose", share=0.7, unknown=True),
            "d.jpg": predicted("aster", share=0.8, disagree=True),
        },
    )
    accept([Sent("e.jpg", "", 3)], batch, uploads, LIMIT)
    assert shown(batch) == ["b.jpg", "a.jpg", "c.jpg", "d.jpg", "e.jpg"]
    assert shown(batch, shown="unsure") == ["a.jpg"]
    assert shown(batch, shown="none") == ["c.jpg"]
    assert shown(batch, shown="disagree") == ["d.jpg"]
    assert shown(batch, shown="unreadable") == ["e.jpg"]
    assert shown(batch, class_id="id of rose") == ["b.jpg", "c.jpg"]
    assert shown(batch, order="name")[:2] == ["a.jpg", "b.jpg"]
    assert shown(batch, order="answer") == ["d.jpg", "b.jpg", "c.jpg", "a.jpg", "e.jpg"]
    assert shown(batch, order="least") == ["a.jpg", "c.jpg", "d.jpg", "b.jpg", "e.jpg"]
    assert shown(batch, order="most") == ["b.jpg", "d.jpg", "c.jpg", "a.jpg", "e.jpg"]
    assert ("Unsure (1)", "unsure") in view.filter_choices(batch.done)
    assert view.class_choices(batch.done)[0] == ("All classes (3)", "")
    assert ("rose (2)", "id of rose") in view.class_choices(batch.done)


def test_an_answer_that_is_not_fairly_sure_is_unsure_though_its_set_has_one_class(
    batch: Batch, uploads: Path
):
    answers = {
        "low.jpg": predicted("rose", share=0.55),
        "sure.jpg": predicted("rose", share=0.6),
        "two.jpg": predicted("rose", share=0.7, names=("rose", "other")),
        "both.jpg": predicted("tulip", share=0.5, disagree=True),
        "long.jpg": predicted("r" * 80, share=0.5),
    }
    fill(batch, uploads, answers)
    assert shown(batch, shown="unsure") == ["low.jpg", "two.jpg", "both.jpg", "long.jpg"]
    assert shown(batch, shown="disagree") == ["both.jpg"]
    page = view.table(batch, view.Choice())
    assert '<td>rose or other?<span class="ff-mark">unsure</span></td>' in page
    assert "<td>rose</td>" in page
    assert "<td>Probably rose, perhaps other" in page and "unsure: 2 classes possible" in page
    assert f'<td>{"r" * 80}<span class="ff-mark">unsure</span></td>' in page


def test_a_photograph_of_no_class_is_not_called_by_the_name_of_one(batch: Batch, uploads: Path):
    fill(batch, uploads, {"cat.jpg": predicted("iris", share=0.7, unknown=True)})
    page = view.table(batch, view.Choice())
    assert (
        '<td>Probably none of these<span class="ff-mark">nearest: iris, 70.0\N{NO-BREAK SPACE}%'
        "</span></td>"
        '<td class="number">–</td>'
    ) in page


def test_it_is_said_how_many_photographs_are_shown(batch: Batch, uploads: Path):
    answers = {f"{n}.jpg": predicted(share=0.5 if n < 3 else 0.9) for n in range(60)}
    fill(batch, uploads, answers)
    assert "3 of 60 photographs are shown." in status.count(batch.done, view.Choice("unsure"))
    every = status.count(batch.done, view.Choice())
    assert "60 of 60 photographs are shown, 50 on a page." in every
    assert "0 of 1 photograph is shown." in status.count(batch.done[:1], view.Choice("none"))


def test_only_the_page_that_is_shown_has_thumbnails(batch: Batch, uploads: Path):
    fill(batch, uploads, {f"{n:03d}.jpg": predicted() for n in range(60)})
    first = view.table(batch, view.Choice())
    assert first.count("data:image/jpeg") == first.count("data-row") == view.PAGE
    assert "1 to 50 of 60" in first and "Previous" not in first
    last = view.table(batch, view.Choice(page=99))
    assert last.count("data:image/jpeg") == 10 and "Next" not in last
    small = Image.open(io.BytesIO(batch.thumbnail(batch.rows[0]) or b""))
    assert max(small.size) <= 96
    assert batch.rows[0].outcome is not None
    assert getattr(batch.rows[0].outcome, "evidence", 1) is None


def test_a_file_that_cannot_be_read_is_a_row_with_its_reason(batch: Batch, uploads: Path):
    text = uploads / "notes.jpg"
    text.write_text("no pixels")
    large = Sent("large.jpg", "", LIMIT + 1)
    files = [Sent(EVIL, str(text), 9), large, jpeg(uploads, "good.jpg"), Sent("lost.jpg", "", 5)]
    accept(files, batch, uploads, LIMIT)
    for _ in batch.classify(lambda photos: [predicted() for photo in photos], 64):
        pass
    reasons = [str(row.outcome) for row in batch.rows if isinstance(row.outcome, BadImageError)]
    assert "is not a photograph" in reasons[0]
    assert reasons[1:] == ["is larger than 1 MB", "could not be sent to the server"]
    page = view.table(batch, view.Choice())
    assert "Could not be read: it is larger than 1 MB." in page
    assert "&lt;img src=x" in page and "<img src=x" not in page
    assert "1 photograph classified, 3 could not be read" in status.ended(batch)


def test_files_of_the_server_are_not_opened(batch: Batch, uploads: Path, tmp_path: Path):
    secret = tmp_path / "secret.jpg"
    drawn_photograph(0.1, seed=1).save(secret)
    link = uploads / "link.jpg"
    link.symlink_to(secret)
    paths = [str(secret), f"{uploads}/../secret.jpg", str(link), "a\0b"]
    accept([Sent("x.jpg", path, 5) for path in paths], batch, uploads, LIMIT)
    assert [str(row.outcome) for row in batch.rows] == ["is not an uploaded file"] * 4
    assert all(row.path is None for row in batch.rows)


def test_a_file_larger_than_it_claims_is_refused(batch: Batch, uploads: Path):
    accept([jpeg(uploads, "a.jpg")._replace(size=1)], batch, uploads, 100)
    assert "is larger than" in str(batch.rows[0].outcome)


@pytest.mark.parametrize("extra", [{"count": 501, "files": []}, {"files": [{}] * 501}])
def test_501_files_are_refused_with_a_sentence(extra: dict):
    with pytest.raises(gr.Error, match=r"At most 500 photographs .*, but these are 501"):
        incoming.read_list(extra["files"], extra.get("count"))


@pytest.mark.parametrize("files", [None, "a", [1], [{"name": 1, "path": "", "size": 1}], []])
def test_a_nonsense_list_is_refused_with_a_sentence(files: object):
    with pytest.raises(gr.Error, match=r"reload the page|No photographs"):
        incoming.read_list(files)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("large", "is larger than 1 MB"),
        ("encrypted", "is encrypted"),
        ("compression", "uses a compression that the browser cannot read"),
        ("damaged", "is damaged inside the zip file"),
        ("empty", "holds no photographs"),
    ],
)
def test_a_code_of_the_page_is_a_row_with_its_reason(
    batch: Batch, uploads: Path, code: str, reason: str
):
    good = jpeg(uploads, "good.jpg")
    values = good._replace(
        name="bad.jpg", reason=code
    )._asdict()  # not classified, though there is a file
    accept(incoming.read_list([values, good._asdict()]), batch, uploads, LIMIT)
    assert str(batch.rows[0].outcome) == reason and batch.rows[0].path is None
    assert batch.rows[1].outcome is None
    assert f"Could not be read: it {reason}." in view.table(batch, view.Choice())


def test_a_page_that_names_no_reason_is_understood():
    (file,) = incoming.read_list([{"name": "a.jpg", "path": "x", "size": 1}])
    assert file == Sent("a.jpg", "x", 1, "")


@pytest.mark.parametrize("reason", [EVIL, "is encrypted", None, 1, ["large"]])
def test_other_reasons_than_the_codes_are_refused(reason: object):
    file = {"name": "a.jpg", "path": "", "size": 1, "reason": reason}
    with pytest.raises(gr.Error, match="reload the page") as error:
        incoming.read_list([file])
    assert EVIL not in str(error.value)


def test_a_zip_file_that_is_sent_all_the_same_is_no_photograph(batch: Batch, uploads: Path):
    path = uploads / "flowers.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jpg", photograph())
    accept([Sent("flowers.zip", str(path), 9)], batch, uploads, LIMIT)
    list(batch.classify(lambda photos: [], 64))
    assert "is not a photograph" in str(batch.rows[0].outcome)
    assert list(batch.folder.iterdir()) == []


def test_reasons_keep_no_traceback_and_so_no_file_in_memory(batch: Batch, uploads: Path):
    broken = uploads / "broken.jpg"
    broken.write_bytes(photograph()[:600])
    files = [Sent("a.jpg", "a\0b", 5), Sent("broken.jpg", str(broken), 600)]
    accept(files, batch, uploads, LIMIT)
    list(batch.classify(lambda photos: [], 64))
    assert len(batch.rows) == 2
    for row in batch.rows:
        assert isinstance(row.outcome, BadImageError)
        assert row.outcome.__traceback__ is None
        assert row.outcome.__context__ is None and row.outcome.__cause__ is None


def test_a_file_that_is_named_twice_is_one_row_and_two_names_are_two(batch: Batch, uploads: Path):
    file = jpeg(uploads, "a.jpg")
    accept([file, file, file._replace(name="two/a.jpg")], batch, uploads, LIMIT)
    assert [row.name for row in batch.rows] == ["a.jpg", "two/a.jpg"]


def test_files_that_were_swept_say_so(batch: Batch, uploads: Path):
    later = jpeg(uploads, "later.jpg")
    gone = Sent("gone.jpg", str(uploads / "gone.jpg"), 5)
    accept([gone, later], batch, uploads, LIMIT)
    Path(later.path).unlink()
    list(batch.classify(lambda photos: [], 64))
    assert [str(row.outcome) for row in batch.rows] == [REMOVED] * 2


def test_swept_photographs_are_listed_in_the_sorted_zip(batch: Batch, uploads: Path):
    fill(batch, uploads, {"a.jpg": predicted(), "b.jpg": predicted()})
    (uploads / "0.jpg").unlink()
    with zipfile.ZipFile(downloads.write_sorted(batch)) as archive:
        assert archive.namelist() == ["rose/b.jpg", "could-not-be-read/list.txt"]
        assert archive.read("could-not-be-read/list.txt").decode() == f"a.jpg: {REMOVED}\n"


def test_downloads_of_a_folder_that_is_gone_are_refused_with_a_sentence(
    batch: Batch, uploads: Path
):
    fill(batch, uploads, {"a.jpg": predicted()})
    batch.close()
    with pytest.raises(gr.Error, match="were deleted"):
        downloads.write_sorted(batch)
    with pytest.raises(gr.Error, match="were deleted"):
        downloads.write_csv(batch, 2)


def test_more_than_one_gigabyte_is_refused_with_a_sentence():
    files = [{"name": "a.jpg", "path": "x", "size": 6_000_000} for _ in range(200)]
    with pytest.raises(
        gr.Error, match=r"At most 1 GB can be sent at once, but these files have 1\.20 GB"
    ):
        incoming.read_list(files)
    with pytest.raises(gr.Error, match=r"have 2\.00 GB"):
        incoming.read_list([], None, 2_000_000_000)
    not_sent = [{**file, "path": ""} for file in files]
    assert len(incoming.read_list(not_sent)) == 200


def test_long_names_are_cut_in_the_middle():
    short = incoming.clean_name("=folder/" + "x" * 400 + "/rose.jpg")
    assert len(short) == 300
    assert short.startswith("=folder/xx") and "x…x" in short and short.endswith("/rose.jpg")


def test_the_csv_file_holds_no_formulas(batch: Batch, uploads: Path):
    answers = {"=1+1.jpg": predicted("@SUM(1)"), "-2.jpg": predicted("\trose"), "+3": predicted()}
    fill(batch, uploads, answers)
    with downloads.write_csv(batch, 2).open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    assert [row[0] for row in rows] == ["'=1+1.jpg", "'-2.jpg", "+3"]  # the last is a number
    assert [row[1] for row in rows] == ["'@SUM(1)", "'\trose", "rose"]
    assert rows[0][3] == "0.900000"


def test_the_csv_file_is_that_of_the_predict_command(batch: Batch, uploads: Path):
    answers = {"roses/a, b.jpg": predicted(), "ü.jpg": predicted("tulip")}
    fill(batch, uploads, answers)
    accept([Sent("bad.jpg", "", 1)], batch, uploads, LIMIT)
    with downloads.write_csv(batch, 2).open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == csv_header(2)
    for found, (name, answer) in zip(rows[1:], answers.items(), strict=False):
        assert found == [str(cell) for cell in csv_row(Path(name), answer, 2)]
    assert rows[3][0] == "bad.jpg" and rows[3][-1] == "could not be sent to the server"


def test_the_csv_file_names_the_parent_that_is_sure(batch: Batch, uploads: Path):
    iris = Answer("=iris", None, 1, 0.96, ["=iris"], [])
    fill(batch, uploads, {"a.jpg": replace(predicted(), answer=iris)})
    accept([Sent("bad.jpg", "", 1)], batch, uploads, LIMIT)
    with downloads.write_csv(batch, 2).open(encoding="utf-8", newline="") as file:
        header, row, bad = csv.reader(file)
    assert header == csv_header(2, parents=True)
    assert row[-3:] == ["'=iris", "1", "0.960000"]
    assert len(bad) == len(header) and bad[-4] == "could not be sent to the server"


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("St. John's wort of the hills", "St. John's wort of the hills"),
        ("..", "_"),
        ("a\\b:c.jpg", "a_b_c.jpg"),
        ("CON.jpg", "_CON.jpg"),
        ("colt's foot", "colt's foot"),
        (" . ", "_"),
        ("é" * 300 + ".jpg", "é" * 60 + ".jpg"),
    ],
)
def test_names_in_the_zip_are_safe(name: str, safe: str):
    assert downloads.safe_name(name) == safe


def test_the_sorted_zip_has_a_folder_a_class_and_every_photograph_once(batch: Batch, uploads: Path):
    fill(
        batch,
        uploads,
        {
            "one/a.jpg": predicted("../rose"),
            "two/A.jpg": predicted("../rose"),
            "../../x.jpg": predicted("..:rose"),
            "c.jpg": predicted("rose", unknown=True),
            "d.jpg": predicted("none-of-these"),
        },
    )
    accept([Sent("bad.jpg", "", 1)], batch, uploads, LIMIT)
    with zipfile.ZipFile(downloads.write_sorted(batch)) as archive:
        assert archive.namelist() == [
            "_rose/a.jpg",
            "_rose/A (2).jpg",
            "_rose (2)/x.jpg",
            "none-of-these/c.jpg",
            "none-of-these (2)/d.jpg",
            "could-not-be-read/list.txt",
        ]
        assert {info.compress_type for info in archive.infolist()[:-1]} == {zipfile.ZIP_STORED}
        assert archive.read("_rose/a.jpg") == (uploads / "0.jpg").read_bytes()
        listed = archive.read("could-not-be-read/list.txt").decode()
    assert listed == "bad.jpg: could not be sent to the server\n"


def test_too_much_for_one_zip_is_refused(
    batch: Batch, uploads: Path, monkeypatch: pytest.MonkeyPatch
):
    fill(batch, uploads, {"a.jpg": predicted()})
    monkeypatch.setattr(downloads, "MOST_BYTES", 10)
    with pytest.raises(gr.Error, match="but a zip file can have at most"):
        downloads.write_sorted(batch)


def test_cancelling_keeps_what_is_done(batch: Batch, uploads: Path):
    accept([jpeg(uploads, f"{n}.jpg") for n in range(20)], batch, uploads, LIMIT)
    steps = batch.classify(lambda photos: [predicted() for _ in photos], 64)
    next(steps)
    assert "8 of 20 done, about 15 s left" in status.busy(batch, 10)
    batch.cancel()
    assert list(steps) == []
    assert len(batch.done) == 8 and not batch.is_running
    assert "Cancelled: 8 photographs classified, 12 left out." in status.ended(batch)
    assert len(downloads.write_csv(batch, 2).read_text().splitlines()) == 9


def test_an_error_of_the_classifier_keeps_what_is_done(batch: Batch, uploads: Path):
    accept([jpeg(uploads, f"{n}.jpg") for n in range(12)], batch, uploads, LIMIT)

    def run(photos: Sequence[Image.Image]) -> list[Prediction]:
        if batch.done:
            raise RuntimeError("no memory")
        return [predicted() for _ in photos]

    with pytest.raises(RuntimeError):
        list(batch.classify(run, 64))
    assert not batch.is_running
    assert "An error on the server stopped this early: 8 photographs" in status.ended(batch)


def test_files_are_removed_when_the_visitor_leaves_or_sends_others(uploads: Path):
    batches = Batches(uploads, Shelf())
    first = batches.start("visitor")
    (first.folder / "a.jpg").write_bytes(b"x")
    second = batches.start("visitor")
    assert not first.folder.exists() and first.is_cancelled
    assert batches.get("visitor") is second and batches.get("other") is None
    batches.close("visitor")
    assert list(uploads.iterdir()) == [] and batches.get("visitor") is None


def test_batches_are_bounded_in_number_and_age(uploads: Path, monkeypatch: pytest.MonkeyPatch):
    batches = Batches(uploads, Shelf())
    for number in range(MOST_KEPT + 5):
        batches.start(str(number))
    assert len(list(uploads.iterdir())) == MOST_KEPT
    assert batches.get("4") is None and batches.get("5") is not None
    monkeypatch.setattr("demo.many.batch.KEPT_SECONDS", -1.0)
    assert batches.get("9") is None
    batches.start("new")
    assert len(list(uploads.iterdir())) == 1


def test_the_classifiers_of_a_page_share_the_room_for_batches(uploads: Path):
    shelf = Shelf(3)
    popular, other = Batches(uploads, shelf), Batches(uploads, shelf)
    kept = [popular.start("a"), other.start("a"), popular.start("b")]
    assert [popular.get("a"), other.get("a"), popular.get("b")] == kept
    popular.start("c")
    assert popular.get("a") is None and other.get("a") is kept[1]
    other.close("a")
    assert other.get("a") is None and popular.get("b") is kept[2]
    assert len(list(uploads.iterdir())) == 2


def test_batches_that_run_are_not_ended_by_other_visitors(uploads: Path):
    batches = Batches(uploads, Shelf())
    for number in range(MOST_KEPT):
        batches.start(str(number)).is_running = True
    with pytest.raises(gr.Error, match="other visitors are being classified"):
        batches.start("new")
    assert batches.get("new") is None and len(list(uploads.iterdir())) == MOST_KEPT
    own = batches.start("7")  # in place of the visitor's own
    own.is_running = True
    ended = batches.get("3")
    assert ended is not None
    ended.is_running = False
    batches.start("new")
    assert batches.get("3") is None and batches.get("0") is not None
    assert len(list(uploads.iterdir())) == MOST_KEPT


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "5 s"), (31, "35 s"), (59, "1 min"), (61, "2 min")]
)
def test_the_time_left_is_rounded_up(seconds: float, text: str):
    assert status.duration(seconds) == text
