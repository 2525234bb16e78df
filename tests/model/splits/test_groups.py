"""Groups: copies, bursts, frames of a video, people, folders, and names that only look alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawing import draw_class, same_photograph
from loading import load_source
from PIL import Image
from scenes import dated, frames, scene

from model.backbones.backbone import Backbone
from model.features.read import read_photos
from model.photographs.dataset import Collection, Entry, Listing
from model.splits.groups import Groups
from model.splits.looks import group_photographs


def collection(
    folder: Path, cache: Path, group_of: Callable[[Path], str] = lambda _: ""
) -> Collection:
    """Read `folder/CLASS/...`, each photograph with the group that it is given."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    entries = [
        Entry(path, path.relative_to(folder).parts[0], group=group_of(path)) for path in paths
    ]
    return read_photos(Listing(str(folder), folder, entries), cache_dir=cache, summaries=True)


def together(data: Collection, groups: Groups) -> set[frozenset[str]]:
    """The groups of two photographs or more, as names."""
    found: dict[int, list[str]] = {}
    for path, number in zip(data.photos.paths, groups.numbers.tolist(), strict=True):
        found.setdefault(number, []).append(path.relative_to(data.folder).as_posix())
    return {frozenset(names) for names in found.values() if len(names) > 1}


def grouped(folder: Path, by: str = "auto", **options: object) -> set[frozenset[str]]:
    data = collection(folder, folder.parent / "cache", **options)  # type: ignore[arg-type]
    return together(data, group_photographs(data, by, cache_dir=folder.parent / "cache"))


def save(folder: Path, pictures: dict[str, Image.Image], **how: Any) -> None:
    for name, picture in pictures.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(folder / name, quality=95, **how)


def test_frames_of_a_burst_are_found_by_their_pixels_whatever_their_names(tmp_path: Path):
    folder = tmp_path / "data"
    names = (f"rose/{name}.jpg" for name in ("x9", "b2", "k7", "a1", "z3", "m4"))
    burst = dict(zip(names, frames(0, 6), strict=True))
    save(folder, burst | {f"rose/{seed}.jpg": scene(seed) for seed in range(1, 9)})
    assert grouped(folder) == {frozenset(burst)}


def test_numbers_in_names_alone_make_no_group(tmp_path: Path):
    folder = tmp_path / "data"
    save(folder, {f"rose/IMG_{seed:04}.jpg": scene(seed) for seed in range(12)})
    assert grouped(folder) == set()


def test_frames_of_a_video_may_differ_more_where_their_names_follow_one_another(tmp_path: Path):
    """Each frame shows a thing that moves before a ground that stays."""
    folder = tmp_path / "data"
    ground, thing = scene(0), scene(1).resize((40, 40))
    moving = []
    for number in range(5):
        frame = ground.copy()
        frame.paste(thing, (10 + 16 * number, 30))
        moving.append(frame)
    video = {f"rose/clip_{number:03}.jpg": frame for number, frame in enumerate(moving)}
    save(folder, video | {f"rose/clip_{seed:03}.jpg": scene(seed) for seed in range(50, 60)})
    assert grouped(folder) == {frozenset(video)}
    named = dict(zip(("q", "p", "e", "h", "a"), moving, strict=True))
    other = tmp_path / "unnamed" / "data"
    save(other, {f"rose/{name}.jpg": frame for name, frame in named.items()})
    save(other, {f"rose/{chr(200 + seed)}.jpg": scene(seed) for seed in range(50, 60)})
    assert grouped(other) == set()


def test_one_camera_within_seconds_is_a_burst_and_two_cameras_are_not(tmp_path: Path):
    folder = tmp_path / "data"
    shots = {
        "rose/a.jpg": ("Canon", "2024:05:06 07:08:09"),
        "rose/b.jpg": ("Canon", "2024:05:06 07:08:11"),
        "rose/c.jpg": ("Canon", "2024:05:06 07:08:12"),
        "rose/late.jpg": ("Canon", "2024:05:06 07:08:30"),
        "rose/other.jpg": ("Nikon", "2024:05:06 07:08:11"),
        "daisy/other.jpg": ("Canon", "2024:05:06 07:08:10"),
    }
    for seed, (name, (camera, when)) in enumerate(shots.items()):
        save(folder, {name: scene(seed)}, exif=dated(camera, when))
    assert grouped(folder) == {frozenset({"rose/a.jpg", "rose/b.jpg", "rose/c.jpg"})}


def test_plain_drawings_are_not_chained_into_one_group(tmp_path: Path):
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    folder = tmp_path / "data"
    for number, (pixels, label) in enumerate(zip(digits.images[:400], digits.target, strict=False)):
        image = Image.fromarray((pixels * 15.9).astype(np.uint8))
        save(folder, {f"{label}/{number}.png": image})
    found = grouped(folder)
    assert max(map(len, found), default=1) < 12
    assert sum(map(len, found)) < 100


def test_what_a_table_groups_stays_together_and_copies_join_groups(tmp_path: Path):
    folder = tmp_path / "data"
    save(folder, {f"{seed % 2}/{seed}.png": scene(seed) for seed in range(8)})
    same_photograph(folder / "0/0.png", folder / "1/copy.png")
    people = {"0.png": "ann", "1.png": "ann", "5.png": "bob", "copy.png": "bob"}
    found = grouped(folder, group_of=lambda path: people.get(path.name, ""))
    assert found == {frozenset({"0/0.png", "1/1.png", "1/5.png", "1/copy.png"})}


def test_folders_expressions_and_nothing_group_as_they_say(tmp_path: Path):
    folder = tmp_path / "data"
    names = ("rose/ann/1_x", "rose/ann/2_x", "rose/bob/3_y", "daisy/ann/4_y", "daisy/5")
    save(folder, {f"{name}.png": scene(seed) for seed, name in enumerate(names)})
    same_photograph(folder / "daisy/5.png", folder / "daisy/copy.png")
    copy = frozenset({"daisy/5.png", "daisy/copy.png"})
    ann = frozenset({"rose/ann/1_x.png", "rose/ann/2_x.png"})
    assert grouped(folder, "none") == {copy}
    assert grouped(folder, "folder") == {copy, ann}
    assert grouped(folder, "/(ann|bob)/") == {copy, ann | {"daisy/ann/4_y.png"}}
    assert grouped(folder, "_[xy]") == {
        copy,
        ann,
        frozenset({"rose/bob/3_y.png", "daisy/ann/4_y.png"}),
    }


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("(", r"--group-by \( is not auto, folder, none.* nor a valid regular expression"),
        ("breed", "--group-by breed matches none of 6 paths, such as .* not a column of a table"),
    ],
)
def test_a_wrong_expression_is_one_sentence(by: str, message: str, tmp_path: Path):
    draw_class(tmp_path / "data" / "a", 0, 2, 3)
    draw_class(tmp_path / "data" / "b", 1, 2, 3)
    with pytest.raises(ValueError, match=message):
        load_source(tmp_path / "data", cache_dir=tmp_path / "cache", group_by=by)


def test_paths_that_an_expression_does_not_match_are_counted(tmp_path: Path):
    folder = tmp_path / "data"
    save(folder, {f"rose/p{seed}_1.png": scene(seed) for seed in range(3)})
    save(folder, {"rose/lonely.png": scene(9)})
    data = collection(folder, tmp_path / "cache")
    groups = group_photographs(data, "p([0-9])", cache_dir=tmp_path / "cache")
    assert "Paths that do not match --group-by p([0-9]) are not grouped (1)." in groups.notes


def test_near_copies_are_found_by_a_backbones_features_too(
    tmp_path: Path, tiny_backbone: Callable[..., Backbone]
):
    folder = tmp_path / "data"
    burst = {f"rose/{name}.jpg": frame for name, frame in zip("kfa", frames(0, 3), strict=True)}
    save(folder, burst | {f"rose/{seed}.jpg": scene(seed) for seed in range(1, 9)})
    data = collection(folder, tmp_path / "cache")
    groups = group_photographs(data, "auto", backbone=tiny_backbone(), cache_dir=tmp_path / "cache")
    assert together(data, groups) == {frozenset(burst)}
    assert {pair.similarity >= 0.9 for pair in groups.near} == {True}


def test_a_damaged_exif_block_tells_no_time(tmp_path: Path):
    folder = tmp_path / "data"
    block = dated("Canon", "2024:05:06 07:08:09")
    for name, exif in (("a", block[:40]), ("b", b"Exif\0\0nonsense"), ("c", block)):
        save(folder, {f"rose/{name}.jpg": scene(ord(name))}, exif=exif)
    data = collection(folder, tmp_path / "cache")
    assert len(data.photos) == 3
    assert grouped(folder) == set()


def test_a_burst_that_makes_up_most_of_a_class_is_one_group(tmp_path: Path):
    folder = tmp_path / "data"
    for number, name in enumerate(("rose", "daisy")):
        long, short = frames(2 * number, 30), frames(2 * number + 1, 10)
        save(folder, {f"{name}/{i:02}.jpg": frame for i, frame in enumerate([*long, *short])})
    assert sorted(map(len, grouped(folder))) == [10, 10, 30, 30]


def test_pictures_that_are_all_alike_are_said_to_be(tmp_path: Path):
    from sklearn.datasets import load_digits

    folder = tmp_path / "data"
    digits: Any = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images[:200], digits.target, strict=False)):
        save(folder, {f"{label}/{number}.png": Image.fromarray((pixels * 15.9).astype(np.uint8))})
    data = collection(folder, tmp_path / "cache")
    notes = group_photographs(data, "auto", cache_dir=tmp_path / "cache").notes
    assert any("are similar here" in note and "--group-by" in note for note in notes)


def test_an_expression_does_not_look_at_where_an_added_source_lies(tmp_path: Path):
    data, more = tmp_path / "data", tmp_path / "p7" / "more"
    save(data, {f"{c}/p{s % 3}_{s}.png": scene(10 * ord(c) + s) for c in "ab" for s in range(6)})
    save(more, {f"{c}/x_{s}.png": scene(900 + 10 * ord(c) + s) for c in "ab" for s in range(3)})
    loaded = load_source(data, cache_dir=tmp_path / "c", group_by="p([0-9])", added=(more,))
    assert "Paths that do not match --group-by p([0-9]) are not grouped (6)." in loaded.notes
