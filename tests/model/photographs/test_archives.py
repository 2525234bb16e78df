"""Archives of photographs: what is unpacked, and what is refused."""

import bz2
import gzip
import io
import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from drawing import drawn_photograph

from model.photographs.archives import ENDINGS, is_archive, unpack
from model.photographs.members import Limits

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".tgz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


def picture(seed: int = 0) -> bytes:
    file = io.BytesIO()
    drawn_photograph(seed / 9 % 1, seed, (8, 8)).save(file, "PNG")
    return file.getvalue()


def write_zip(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def write_tar(path: Path, files: dict[str, bytes], **kinds: bytes) -> None:
    """`kinds`: name -> type of a member that is no file; it gets the link target "a.png"."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, kind in kinds.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "a.png"
            archive.addfile(info)
    compress = COMPRESSIONS.get(path.suffix, bytes)
    path.write_bytes(compress(plain.getvalue()))


def write(path: Path, files: dict[str, bytes]) -> Path:
    (write_zip if path.suffix == ".zip" else write_tar)(path, files)
    return path


def tree(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def left_behind(cache_dir: Path) -> list[Path]:
    return list((cache_dir / "archives").glob("*"))


FLOWERS = {
    "flowers/rose/1.png": picture(1),
    "flowers/rose/2.PNG": picture(2),
    "flowers/tulip/tall/1.png": picture(3),
    "flowers/labels.csv": b"path,label\n",
    "flowers/cat_to_name.json": b"{}",
    "flowers/README.txt": b"read me",
    "flowers/run.py": b"import os",
    "flowers/rose/.hidden.png": picture(4),
    "__MACOSX/flowers/rose/._1.png": b"junk",
    "flowers/Thumbs.db": b"junk",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_photographs_and_labels_are_unpacked(tmp_path: Path, cache_dir: Path, ending: str):
    path = write(tmp_path / f"flowers{ending}", FLOWERS)
    assert is_archive(path)
    folder, notes = unpack(path, cache_dir)
    assert folder.name == "flowers"
    assert tree(folder) == {
        *("rose/1.png", "rose/2.PNG", "tulip/tall/1.png", "labels.csv", "cat_to_name.json")
    }
    assert (folder / "rose/1.png").read_bytes() == picture(1)
    assert notes == [
        f"{path.name} also holds 2 other files, such as flowers/README.txt. They were left out."
    ]


def test_an_archive_is_unpacked_once(tmp_path: Path, cache_dir: Path):
    path = write(tmp_path / "flowers.zip", FLOWERS)
    first = unpack(path, cache_dir)
    mark = first.folder / "mark"
    mark.touch()
    copy = tmp_path / "copy.zip"
    shutil.copy(path, copy)
    assert unpack(copy, cache_dir).folder == first.folder
    assert unpack(path, cache_dir) == first
    assert mark.exists()
    write(path, FLOWERS | {"flowers/rose/3.png": picture(5)})
    assert unpack(path, cache_dir).folder != first.folder


def test_other_files_are_no_archives(tmp_path: Path):
    (tmp_path / "a.zip").mkdir()
    (tmp_path / "a.gz").touch()
    assert not any(map(is_archive, tmp_path.iterdir()))


def test_the_data_folder_is_the_one_that_was_packed(tmp_path: Path, cache_dir: Path):
    def root(**files: str) -> str:
        content = {name: picture() for name in files.values()}
        folder, _ = unpack(write(tmp_path / "a.zip", content), cache_dir)
        return "" if folder.name == "files" else folder.name

    assert root(a="rose/1.png", b="tulip/1.png") == ""
    assert root(a="rose/1.png") == ""
    assert root(a="data/rose/1.png") == "data"
    assert root(a="data/rose/1.png", b="data/tulip/1.png") == "data"
    assert root(a="up/data/rose/1.png", b="up/data/tulip/1.png") == "data"
    assert root(a="up/data/rose/1.png", b="up/tulip/1.png", c="up/names.json") == "up"
    assert root(a="data/rose/1.png", b="data/tulip/1.png", c="cat_to_name.json") == "data"
    assert root(a="data/1.png", b="data/labels.csv") == "data"


@pytest.mark.parametrize(
    "name",
    [
        *("/etc/a.png", "../a.png", "a/../../a.png", "C:/a.png", "c:a.png"),
        *("a\\..\\..\\a.png", "\\\\server\\a.png", "/", f"{'n' * 300}.png"),
        *("../notes.txt", "__MACOSX/../../a.txt"),
    ],
)
@pytest.mark.parametrize("ending", [".zip", ".tar"])
def test_names_that_lead_elsewhere_are_refused(
    tmp_path: Path, cache_dir: Path, name: str, ending: str
):
    path = write(tmp_path / f"bad{ending}", {"rose/1.png": picture(), name: picture()})
    with pytest.raises(ValueError, match="was not unpacked, because '") as error:
        unpack(path, cache_dir)
    assert name[:20] in str(error.value)
    assert left_behind(cache_dir) == []
    assert {p.name for p in tmp_path.rglob("a.*")} == set()


@pytest.mark.parametrize(
    "names",
    [
        *(("rose/1.png", "rose/1.png"), ("rose/1.png", "rose/1.PNG"), ("a/1.png", "A/2.png")),
        *(("a.png", "a.png/1.png"), ("a.png/1.png", "a.png"), ("a.png/1.png", "A.png")),
        ("caf\u00e9/1.png", "cafe\u0301/2.png"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_some_systems_take_for_equal_are_refused(
    tmp_path: Path, cache_dir: Path, names: tuple[str, str]
):
    for path in (tmp_path / "bad.zip", tmp_path / "bad.tar"):
        if path.suffix == ".zip":
            with zipfile.ZipFile(path, "w") as archive:
                for name in names:
                    archive.writestr(name, picture())
        else:
            with tarfile.open(path, "w") as archive:
                for name in names:
                    info = tarfile.TarInfo(name)
                    archive.addfile(info, io.BytesIO())
        with pytest.raises(ValueError, match="was not unpacked") as error:
            unpack(path, cache_dir)
        assert f"'{names[1]}'" in str(error.value)
        assert left_behind(cache_dir) == []


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (tarfile.SYMTYPE, "is a link"),
        (tarfile.LNKTYPE, "is a link"),
        (tarfile.FIFOTYPE, "is neither a file nor a folder"),
        (tarfile.CHRTYPE, "is neither a file nor a folder"),
        (tarfile.GNUTYPE_SPARSE, "is a sparse file"),
    ],
)
def test_links_and_devices_are_refused(tmp_path: Path, cache_dir: Path, kind: bytes, message: str):
    path = tmp_path / "bad.tar.gz"
    write_tar(path, {"a.png": picture()}, link=kind)
    with pytest.raises(ValueError, match=f"'link' in it {message}"):
        unpack(path, cache_dir)
    assert left_behind(cache_dir) == []


def test_links_in_a_zip_are_refused(tmp_path: Path, cache_dir: Path):
    for kind, message in ((stat.S_IFLNK, "is a link"), (stat.S_IFIFO, "is neither")):
        with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
            info = zipfile.ZipInfo("rose/1.png")
            info.external_attr = (kind | 0o644) << 16
            archive.writestr(info, "/etc/passwd")
        with pytest.raises(ValueError, match=f"'rose/1.png' in it {message}"):
            unpack(tmp_path / "bad.zip", cache_dir)


def test_encrypted_members_are_refused(tmp_path: Path, cache_dir: Path):
    path = write(tmp_path / "bad.zip", {"rose/1.png": picture()})
    content = bytearray(path.read_bytes())
    for start, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(start) + offset] |= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"'rose/1\.png' in it is encrypted"):
        unpack(path, cache_dir)
    assert left_behind(cache_dir) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_bombs_are_refused(tmp_path: Path, cache_dir: Path, ending: str):
    zeros = bytes(3_000_000)
    path = write(tmp_path / f"bomb{ending}", {f"a/{n}.png": zeros for n in range(4)})
    if ending != ".tar":
        with pytest.raises(ValueError, match="more than 200 times its own size"):
            unpack(path, cache_dir, limits=Limits(small=10_000_000))
    with pytest.raises(ValueError, match=r"more than 0\.01 GB, the limit"):
        unpack(path, cache_dir, limits=Limits(size=10_000_000))
    with pytest.raises(ValueError, match="more than 3 files and folders"):
        unpack(path, cache_dir, limits=Limits(members=3))
    assert left_behind(cache_dir) == []
    assert len(tree(unpack(path, cache_dir).folder)) == 4


def test_what_is_not_unpacked_counts_in_a_tar(tmp_path: Path, cache_dir: Path):
    path = tmp_path / "bomb.tgz"
    write_tar(path, {"a/1.png": picture(), "a/film.mp4": bytes(20_000_000)})
    with pytest.raises(ValueError, match="times its own size"):
        unpack(path, cache_dir, limits=Limits(small=10_000_000))


def test_a_huge_header_is_not_read_into_memory(tmp_path: Path, cache_dir: Path):
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    (tmp_path / "bomb.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(10_000))
    with pytest.raises(ValueError, match="has a header of"):
        unpack(tmp_path / "bomb.tar", cache_dir)


def test_a_disk_that_is_too_small_is_named(tmp_path: Path, cache_dir: Path, monkeypatch):
    path = write(tmp_path / "flowers.zip", FLOWERS)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: usage._replace(free=1_000_000_000 + len(picture(1)))
    )
    with pytest.raises(ValueError, match="--cache-dir") as error:
        unpack(path, cache_dir)
    assert str(cache_dir / "archives") in str(error.value)
    assert left_behind(cache_dir) == []


def test_an_archive_without_photographs_is_an_error(tmp_path: Path, cache_dir: Path):
    path = write(tmp_path / "a.zip", {"train.tar": b"x", "labels.csv": b"path,label"})
    with pytest.raises(
        ValueError, match=r"no photographs; it holds 1 other file, such as train\.tar\."
    ):
        unpack(path, cache_dir)
    write(path, {})
    with pytest.raises(ValueError, match="holds no photographs"):
        unpack(path, cache_dir)
    assert left_behind(cache_dir) == []


def test_large_json_files_are_left_out(tmp_path: Path, cache_dir: Path):
    path = write(tmp_path / "a.zip", {"a/1.png": picture(), "a/x.json": bytes(10_000_000)})
    folder, notes = unpack(path, cache_dir)
    assert tree(folder) == {"a/1.png"}
    assert "x.json" in notes[0]


@pytest.mark.parametrize("ending", ENDINGS)
def test_damaged_archives_are_one_sentence(tmp_path: Path, cache_dir: Path, ending: str):
    whole = write(tmp_path / f"whole{ending}", {f"a/{n}.png": picture(n) for n in range(20)})
    content = whole.read_bytes()
    path = tmp_path / f"bad{ending}"
    half = len(content) // 2  # of a .tar, between two members
    flipped = bytearray(content)
    flipped[half : half + 8] = b"\xff" * 8
    for bad in (content[:half], content[: half - 99], flipped, b"", b"<html>not found</html>" * 99):
        path.write_bytes(bad)
        with pytest.raises(ValueError, match="is damaged or not an archive") as error:
            unpack(path, cache_dir)
        assert "\n" not in str(error.value)
        assert left_behind(cache_dir) == []


def test_a_tar_may_have_lost_or_gained_a_compression(tmp_path: Path, cache_dir: Path):
    write_tar(tmp_path / "a.tar", {"a/1.png": picture()})
    content = (tmp_path / "a.tar").read_bytes()
    for number, compress in enumerate(COMPRESSIONS.values()):
        path = tmp_path / f"{number}.tar"
        path.write_bytes(compress(content))
        assert tree(unpack(path, cache_dir).folder) == {"a/1.png"}


def test_a_header_that_points_backwards_ends(tmp_path: Path, cache_dir: Path):
    info = tarfile.TarInfo("a/1.png")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = struct.pack(">B11s", 0xFF, b"\xff" * 9 + b"\xfc\x00")  # -1,024 bytes
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "a.tar").write_bytes(bytes(header) + bytes(10_240))
    with pytest.raises(ValueError, match="damaged"):
        unpack(tmp_path / "a.tar", cache_dir)
