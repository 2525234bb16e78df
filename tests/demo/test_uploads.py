"""Uploads: bounded in all, swept by age and at every kind of exit, refused with a sentence."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from systems import ABANDONED, SIGNALS

from benchmarks.client import Client, first_page, serve
from demo.page import build
from demo.serve import launch
from demo.uploads import UploadFolder

ROOT = Path(__file__).resolve().parents[2]
LIMIT, LARGEST = 3_000_000, 1_000_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[UploadFolder]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    with UploadFolder(LIMIT) as opened:
        yield opened


def write(folder: UploadFolder, name: str, size: int, age: float) -> Path:
    """Put a file of some age into the folder, as an upload is."""
    path = folder.path / name / "photograph.jpg"
    path.parent.mkdir()
    path.write_bytes(bytes(size))
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_the_folder_is_the_processs_own_and_is_gone_in_the_end(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    before = tempfile.gettempdir()
    with UploadFolder() as one, UploadFolder() as two:
        assert one.path.parent == (tmp_path / "uploads").resolve()
        assert two.path.is_relative_to(one.path)
        assert os.environ["GRADIO_TEMP_DIR"] == tempfile.gettempdir() == str(two.path)
        write(one, "left", 10, 0)
    assert not (tmp_path / "uploads").exists()
    assert tempfile.gettempdir() == before
    assert os.environ["GRADIO_TEMP_DIR"] == str(tmp_path / "uploads")


@ABANDONED
def test_what_a_killed_process_left_is_swept_by_the_next(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    code = "import os; from demo.uploads import UploadFolder\n"
    code += "with UploadFolder() as f: (f.path / 'x').write_text('x'); os._exit(9)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert len(list((tmp_path / "uploads").rglob("x"))) == 1
    with UploadFolder() as folder:
        assert list((tmp_path / "uploads").iterdir()) == [folder.path]


def test_old_uploads_go_and_new_ones_and_the_pages_own_stay(folder: UploadFolder):
    example = write(folder, "example", 10, 9000)
    folder.keep_present()
    old, new = write(folder, "old", 10, 3700), write(folder, "new", 10, 3500)
    broken_off = folder.path / "tmpabc"
    broken_off.touch()
    os.utime(broken_off, (0, 0))
    folder.sweep()
    assert example.exists() and new.exists()
    assert not old.parent.exists() and not broken_off.exists()


def test_the_oldest_make_room_but_none_that_may_wait_for_its_answer(folder: UploadFolder):
    oldest, older = write(folder, "a", 1_000_000, 900), write(folder, "b", 1_000_000, 600)
    write(folder, "c", 1_000_000, 10)
    folder.sweep()
    assert folder.has_room(0)
    folder._counted = -1e9  # the last count is more than a second ago
    assert folder.has_room(500_000)
    assert not oldest.exists() and older.exists()
    folder._counted = -1e9
    assert not folder.has_room(2_500_000)
    assert not older.exists()


def test_a_full_folder_makes_room_for_more_than_one_photograph(folder: UploadFolder):
    for number in range(100):
        write(folder, f"{number}", LIMIT // 100, 900 - number)
    folder.sweep()
    folder._counted = -1e9  # the last count is more than a second ago
    for _ in range(9):
        assert folder.has_room(LIMIT // 100)
        folder.add(LIMIT // 100)


def test_the_folder_goes_although_a_request_still_writes(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    remove = shutil.rmtree
    late = []

    def removed_too_early(path: Path, **options: Any) -> None:
        remove(path, **options)
        if not late:
            late.append(path / "late")
            late[0].mkdir(parents=True)

    folder = UploadFolder()
    with folder:
        monkeypatch.setattr(shutil, "rmtree", removed_too_early)
    assert late and not folder.path.exists()


def test_a_folder_in_the_place_of_an_upload_is_no_harm(folder: UploadFolder):
    (folder.path / "a" / "b").mkdir(parents=True)
    os.utime(folder.path / "a" / "b", (0, 0))
    old = write(folder, "old", 10, 9000)
    folder.sweep()
    assert not old.exists()


# over HTTP


@pytest.fixture
def address(shipped, folder: UploadFolder) -> Iterator[str]:
    demo = build(shipped, max_bytes=LARGEST)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = {"server_name": "127.0.0.1", "server_port": port}
    yield launch(demo, max_bytes=LARGEST, uploads=folder, **where)
    demo.close(verbose=False)


def post(address: str, *files: bytes, path: str = "/gradio_api/upload") -> tuple[int, str]:
    """Send files in one form; return status and text of the answer."""
    mark = uuid.uuid4().hex
    body = b"".join(
        f'--{mark}\r\nContent-Disposition: form-data; name="files"; filename="{number}.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n".encode()
        + file
        + b"\r\n"
        for number, file in enumerate(files)
    )
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    kind = {"Content-Type": f"multipart/form-data; boundary={mark}"}
    connection.request("POST", path, body + f"--{mark}--\r\n".encode(), kind)
    response = connection.getresponse()
    return response.status, response.read().decode()


def test_what_is_sent_in_one_request_is_bounded(address: str, folder: UploadFolder):
    assert post(address, bytes(LARGEST))[0] == 200
    status, text = post(address, *[bytes(900_000)] * 8)
    assert (status, text) == (413, "A photograph may have at most 1 MB.")


def test_a_call_without_end_is_refused(address: str):
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    data = json.dumps({"data": ["x" * 2_000_000]})
    kind = {"Content-Type": "application/json"}
    connection.request("POST", "/gradio_api/call/predict", data, kind)
    assert connection.getresponse().status == 413


def test_a_visitor_without_room_is_told_so_and_later_there_is_room(
    address: str, folder: UploadFolder, flower: Path, monkeypatch
):
    blocking = write(folder, "new", LIMIT, 0)
    folder.sweep()
    status, text = post(address, flower.read_bytes())
    assert status == 507 and "no room for more photographs at the moment" in text
    blocking.unlink()
    folder._counted = -1e9
    assert Client(address).predict(flower.read_bytes())


def test_a_full_disk_is_said_to_the_visitor_and_to_the_owner(
    address: str, flower: Path, monkeypatch, capsys
):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("gradio.route_utils.NamedTemporaryFile", full)
        status, text = post(address, flower.read_bytes())
    assert status == 507 and "no room" in text
    said = capsys.readouterr().err
    assert (
        "no room for an upload in" in said and "GRADIO_TEMP_DIR" in said and "Traceback" not in said
    )
    assert Client(address).predict(flower.read_bytes())


def test_uploads_that_are_broken_off_are_swept(address: str, folder: UploadFolder):
    host, port = urlsplit(address).netloc.split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n"
            b"Content-Type: multipart/form-data; boundary=m\r\n\r\n--m\r\n"
            b'Content-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\nhalf'
        )
        time.sleep(0.5)
    present = [path for path in folder.path.rglob("*") if path.is_file()]
    for path in present:
        os.utime(path, (0, 0))
    folder.sweep()
    left = {path for path in folder.path.rglob("*") if path.is_file()}
    assert left == folder._kept


@SIGNALS
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_ends_soon_and_leaves_nothing_although_a_page_is_open(
    end: signal.Signals, engines: Path, tmp_path: Path, flower: Path
):
    options = ("--cache-dir", str(engines.parent), "--device", "cpu")
    with serve(*options, TMPDIR=str(tmp_path), GRADIO_TEMP_DIR="") as (address, process):
        first_page(address, process)
        Client(address).predict(flower.read_bytes())
        assert len(list((tmp_path / "frostflower-uploads").iterdir())) == 1
        host, port = urlsplit(address).netloc.split(":")
        with socket.create_connection((host, int(port))) as page:
            page.sendall(b"GET /gradio_api/heartbeat/open HTTP/1.1\r\nHost: x\r\n\r\n")
            assert page.recv(12) == b"HTTP/1.1 200"
            asked = time.monotonic()
            process.send_signal(end)
            assert process.wait(20) == 0
            assert time.monotonic() - asked < 5  # Gradio waits so long for the heartbeat
    assert list(tmp_path.iterdir()) == []
