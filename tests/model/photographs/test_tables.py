"""Photographs that a table lists."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from drawing import drawn_photograph

from model.photographs.dataset import Entry, Listing
from model.photographs.tables import Columns, column_names, is_table, list_table


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Draws a.jpg, b.jpg, c.jpg and sub/d.png into data/, and writes a table beside them."""
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    for number, name in enumerate(("a.jpg", "b.jpg", "c.jpg", "sub/d.png")):
        drawn_photograph(number / 4, number, (8, 8)).save(folder / name)

    def write(text: str, name: str = "labels.csv", encoding: str = "utf-8") -> Path:
        (folder / name).write_bytes(text.encode(encoding))
        return folder / name

    return write


def labels(listing: Listing) -> dict[str, str]:
    return {e.path.relative_to(listing.folder).as_posix(): e.class_id for e in listing.entries}


def reasons(listing: Listing) -> dict[str, str]:
    return {bad.path.name: bad.reason for bad in listing.skipped}


def test_a_table_gives_paths_and_labels(table: Callable):
    path = table("path,label\na.jpg,rose\nb.jpg,daisy\nsub/d.png,rose\n")
    listing = list_table(path)
    assert listing.name == str(path)
    assert listing.folder == path.parent
    assert listing.entries == [
        Entry(path.parent / "b.jpg", "daisy"),
        Entry(path.parent / "a.jpg", "rose"),
        Entry(path.parent / "sub/d.png", "rose"),
    ]
    assert (listing.skipped, listing.notes) == ([], [])


def test_labels_stay_as_they_are_written(table: Callable):
    listing = list_table(table("path,label\na.jpg,007\nb.jpg,NA\nc.jpg,1.0\nsub/d.png,null\n"))
    assert labels(listing) == {"a.jpg": "007", "b.jpg": "NA", "c.jpg": "1.0", "sub/d.png": "null"}


@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("labels.csv", 'path,label\r\na.jpg,"ro;se, ""x"""\r\n', "utf-8-sig"),
        ("labels.csv", 'label;path\n"ro;se, ""x""";a.jpg\n', "utf-8"),
        ("labels.TSV", 'path\tlabel\na.jpg\t"ro;se, ""x"""\n', "utf-8-sig"),
        ("labels.csv", '\n\n path , label \n a.jpg , "ro;se, ""x"""\n,\n', "utf-8"),
    ],
)
def test_separators_quotes_spaces_and_encodings(
    table: Callable, name: str, text: str, encoding: str
):
    path = table(text, name, encoding)
    assert is_table(path)
    assert labels(list_table(path)) == {"a.jpg": 'ro;se, "x"'}


def test_two_forms_of_an_accent_are_one_class(table: Callable):
    listing = list_table(table("path,label\na.jpg,caf\u00e9\nb.jpg,cafe\u0301\n"))
    assert {entry.class_id for entry in listing.entries} == {"caf\u00e9"}


def test_paths_may_be_absolute_or_from_windows(table: Callable, tmp_path: Path):
    text = f"path,label\n{tmp_path}/data/a.jpg,x\nsub\\d.png,y\n../data/b.jpg,z\n./c.jpg,z\n"
    listing = list_table(table(text))
    assert labels(listing) == {"a.jpg": "x", "sub/d.png": "y", "b.jpg": "z", "c.jpg": "z"}
    assert listing.folder == tmp_path / "data"


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
def test_a_backslash_may_be_part_of_a_name(table: Callable, tmp_path: Path):
    (tmp_path / "data" / "a.jpg").rename(tmp_path / "data" / r"sub\d.png")
    listing = list_table(table("path,label\nsub\\d.png,x\n"))
    assert [entry.path.name for entry in listing.entries] == [r"sub\d.png"]


def test_files_elsewhere_share_a_folder(table: Callable, tmp_path: Path, monkeypatch):
    path = table("path,label\na.jpg,x\n../e.jpg,y\n")
    drawn_photograph(0.5, 5, (8, 8)).save(tmp_path / "e.jpg")
    for given in (path, Path("labels.csv")):
        monkeypatch.chdir(path.parent)
        listing = list_table(given)
        assert listing.folder == tmp_path
        assert labels(listing) == {"data/a.jpg": "x", "e.jpg": "y"}


def test_a_table_can_be_in_the_working_folder(table: Callable, monkeypatch):
    monkeypatch.chdir(table("path,label\na.jpg,x\n").parent)
    listing = list_table(Path("labels.csv"))
    assert listing.entries == [Entry(Path("a.jpg"), "x")]
    assert labels(listing) == {"a.jpg": "x"}


def test_splits_and_groups_are_used(table: Callable):
    text = "path,label,split,group\na.jpg,x,Testing,p 1\nb.jpg,x,val,p 2\nc.jpg,x,train,\n"
    entries = list_table(table(text)).entries
    assert [entry[1:4] for entry in entries] == [
        ("x", "train", ""),
        ("x", "valid", "p 2"),
        ("x", "test", "p 1"),
    ]


def test_columns_can_have_other_names(table: Callable):
    path = table("file,kind,fold,person,label\na.jpg,x,dev,p 1,0\n")
    listing = list_table(path, columns=Columns("file", "kind", "fold", "person"))
    assert listing.entries[0][1:4] == ("x", "valid", "p 1")
    assert column_names(path) == ["file", "kind", "fold", "person", "label"]
    with pytest.raises(ValueError, match=r"no column 'where'; .*--split-column"):
        list_table(path, columns=Columns("file", "kind", "where"))
    with pytest.raises(ValueError, match=r"no column 'nobody'; .*--group-column"):
        list_table(path, columns=Columns("file", "kind", group="nobody"))
    perhaps = Columns("file", "kind", group="nobody", group_may_lack=True)
    listing = list_table(path, columns=perhaps)
    assert listing.entries[0][1:4] == ("x", "", "")


def test_a_missing_column_names_those_there_are(table: Callable):
    with pytest.raises(ValueError) as error:
        list_table(table("file,label\na.jpg,x\n"))
    assert "no column 'path'; its columns are 'file', 'label'" in str(error.value)
    assert "--path-column" in str(error.value)
    with pytest.raises(ValueError, match=r"no column 'label'.*--label-column"):
        list_table(table("path,class\na.jpg,x\n"))
    with pytest.raises(ValueError, match="2 columns 'label'"):
        list_table(table("path,label,label\na.jpg,x,y\n"))


def test_without_labels_only_paths_are_needed(table: Callable):
    for text in ("path\na.jpg\nb.jpg\n", "path,label,split\na.jpg,,what\nb.jpg,y,train\n"):
        listing = list_table(table(text), labelled=False)
        assert [entry[1:4] for entry in listing.entries] == [("", "", "")] * 2


def test_rows_that_cannot_be_used_are_skipped_with_their_line(table: Callable):
    path = table(
        'path,label\n"a.jpg",x\n\ngone.jpg,"two\nlines"\nlabels.csv,x\nsub,x\n,x\nb.jpg,\n'
        f"a.jpg/e.jpg,x\n{'n' * 300}.jpg,x\nzero\0.jpg,x\n"
    )
    listing = list_table(path)
    assert labels(listing) == {"a.jpg": "x"}
    found = [(bad.path.name[:9], bad.reason) for bad in listing.skipped]
    assert found[:6] == [
        ("gone.jpg", "does not exist (labels.csv, line 4)"),
        ("labels.cs", "has the ending '.csv', not that of a photograph (labels.csv, line 6)"),
        ("sub", "is a folder (labels.csv, line 7)"),
        ("labels.cs", "has no path in line 8"),
        ("b.jpg", "has no label (labels.csv, line 9)"),
        ("e.jpg", "does not exist (labels.csv, line 10)"),
    ]
    assert found[6][1].startswith("cannot be read (file name too long)")
    assert found[7][1] == "does not exist (labels.csv, line 12)"


def test_two_labels_for_a_photograph_are_an_error(table: Callable):
    path = table("path,label\na.jpg,x\nb.jpg,y\n./a.jpg,z\n")
    with pytest.raises(ValueError, match=r"a\.jpg the label 'x' in line 2 and 'z' in line 4"):
        list_table(path)
    path = table("path,label,group\na.jpg,x,p\nsub/../a.jpg,x,q\n")
    with pytest.raises(ValueError, match="the group 'p' in line 2 and 'q' in line 3"):
        list_table(path)


def test_a_repeated_row_counts_once(table: Callable):
    listing = list_table(table("path,label\na.jpg,x\nb.jpg,y\na.jpg,x\n"))
    assert labels(listing) == {"a.jpg": "x", "b.jpg": "y"}
    assert listing.notes == [
        "labels.csv lists some photographs more than once; 1 repeated row is left out."
    ]


def test_wrong_splits_are_named_with_their_line(table: Callable):
    with pytest.raises(ValueError, match=r"line 3 has the split '7'.*train, valid or test"):
        list_table(table("path,label,split\na.jpg,x,train\nb.jpg,x,7\n"))
    with pytest.raises(ValueError, match="line 2 has no split, but line 3 has one"):
        list_table(table("path,label,split\na.jpg,x,\nb.jpg,x,test\nc.jpg,x,\n"))
    assert list_table(table("path,label,split\na.jpg,x,\n")).entries[0].split == ""


def test_a_label_that_cannot_be_shown_is_an_error(table: Callable):
    with pytest.raises(ValueError, match=r"line 2: the label 'x\\u001b' has the unprintable"):
        list_table(table("path,label\na.jpg,x\x1b\n"))
    with pytest.raises(ValueError, match="300 characters"):
        list_table(table(f"path,label\na.jpg,{'x' * 300}\n"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"path,label\n", "a header but no rows"),
        (b"path,label\na.jpg\n", "line 2 has 1 cells, but the header has 2"),
        (b"path,label\na.jpg,x\nb.jpg,x,y\n", "line 3 has 3 cells, but the header has 2"),
        (b"path,label\na.jpg,\xe9t\xe9\n", "not UTF-8 text"),
        ("path,label\na.jpg,x\n".encode("utf-16"), "not UTF-8 text"),
        (b"\0\1\2\3" * 100, "not a table"),
        (b"path" * 300_000, "not a table"),
        (b'path,label\na.jpg,x\nb.jpg,"y\nc.jpg,z\n', "beyond line 3"),
    ],
)
def test_a_file_that_is_no_table_is_one_sentence(table: Callable, content: bytes, message: str):
    path = table("")
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        list_table(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_names_come_from_a_file_near_the_table(table: Callable, tmp_path: Path):
    path = table("path,label\na.jpg,1\n")
    names = tmp_path / "data" / "cat_to_name.json"
    names.write_text('{"1": "rose"}')
    listing = list_table(path)
    assert listing.names == {"1": "rose"}
    assert listing.notes == [f"The class names come from {names}."]
    other = tmp_path / "other.json"
    other.write_text('{"1": "Rosa"}')
    listing = list_table(path, class_names=other)
    assert (listing.names, listing.notes) == ({"1": "Rosa"}, [])
    with pytest.raises(FileNotFoundError):
        list_table(path, class_names=tmp_path / "none.json")


def test_parquet_is_read_as_text(table: Callable):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = table("").with_name("labels.parquet")
    names = ["a.jpg", "b.jpg", "gone.jpg", "c.jpg", None]
    for values, first in (([1, 3, 3, None, 1], "1"), ([1.0, 3.0, 3.0, None, 1.0], "1")):
        columns = {"path": names, "label": values, "image": [{"bytes": b""}] * 5}
        parquet.write_table(pyarrow.table(columns), path)
        listing = list_table(path)
        assert labels(listing) == {"a.jpg": first, "b.jpg": "3"}
        assert reasons(listing) == {
            "gone.jpg": "does not exist (labels.parquet, row 3)",
            "c.jpg": "has no label (labels.parquet, row 4)",
            "labels.parquet": "has no path in row 5",
        }
    assert column_names(path) == ["path", "label", "image"]
    with pytest.raises(ValueError, match="row 1: column 'image' holds a dict"):
        list_table(path, columns=Columns(path="image"))
    with pytest.raises(ValueError, match="no column 'kind'"):
        list_table(path, columns=Columns(label="kind"))
    coded = pyarrow.table({"path": ["a.jpg"], "label": pyarrow.array(["007"]).dictionary_encode()})
    parquet.write_table(coded, path)
    assert labels(list_table(path)) == {"a.jpg": "007"}


def test_damaged_parquet_is_one_sentence(table: Callable):
    pytest.importorskip("pyarrow")
    path = table("PAR1 nothing of the kind PAR1", "labels.parquet")
    with pytest.raises(ValueError, match="cannot be read as Parquet") as error:
        list_table(path)
    assert "\n" not in str(error.value)


def test_parquet_without_pyarrow_names_the_remedy(table: Callable, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match="pip install pyarrow"):
        list_table(table("PAR1", "labels.parquet"))


# parents


def test_a_column_gives_classes_their_parents(table: Callable):
    listing = list_table(
        table("path,label,parent\na.jpg,yellow,bulbs/iris\nb.jpg,rose,\nc.jpg,yellow,\n")
    )
    assert listing.parents == {"yellow": ("bulbs", "iris")}


def test_the_column_of_parents_may_have_another_name(table: Callable):
    path = table("path,label,parent,genus\na.jpg,yellow,7,iris\nb.jpg,yellow,8,iris\n")
    assert list_table(path, columns=Columns(parent="genus")).parents == {"yellow": ("iris",)}
    with pytest.raises(ValueError, match=r"has no column 'family'.*--parent-column"):
        list_table(path, columns=Columns(parent="family"))


def test_a_column_that_happens_to_be_called_parent_is_left_aside_and_named(table: Callable):
    path = table("path,label,parent\na.jpg,yellow,img1\nb.jpg,rose,img2\nc.jpg,yellow,img3\n")
    listing = list_table(path)
    assert (len(listing.entries), listing.parents) == (3, {})
    (note,) = listing.notes
    assert note.startswith(
        "The column 'parent' of labels.csv is ignored: Class 'yellow' has the parent 'img1' in "
    )
    assert note.endswith("If the column holds something else, add --parent-column none.")
    twice = table("path,label,parent,parent\na.jpg,yellow,x,y\n")
    assert list_table(twice).parents == {}


def test_no_column_of_parents_may_be_asked_for(table: Callable):
    path = table("path,label,parent\na.jpg,yellow,iris\nb.jpg,rose,\n")
    listing = list_table(path, columns=Columns(parent="none"))
    assert (listing.parents, listing.notes) == ({}, [])
    path = table("path,label,none\na.jpg,yellow,iris\nb.jpg,rose,\n")
    assert list_table(path, columns=Columns(parent="none")).parents == {"yellow": ("iris",)}


def test_a_class_with_two_parents_is_refused_where_the_column_was_named(table: Callable):
    path = table("path,label,parent\na.jpg,yellow,iris\nb.jpg,rose,rose\nc.jpg,yellow,lily\n")
    with pytest.raises(ValueError) as error:
        list_table(path, columns=Columns(parent="parent"))
    assert str(error.value) == (
        f"Class 'yellow' has the parent 'iris' in line 2 of {path} and has the parent 'lily' in "
        f"line 4 of {path}. Keep one of them. If the column holds something else, add "
        "--parent-column none."
    )


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("iris//x", "line 2: the parent 'iris//x' has an empty part"),
        ("a/b/c/d/e", "puts 5 levels above class 'yellow'"),
        ("rose", "'rose' is both a class and a parent of class 'yellow'"),
    ],
)
def test_a_cell_that_names_no_parent_is_refused(cell: str, said: str, table: Callable):
    path = table(f"path,label,parent\na.jpg,yellow,{cell}\nb.jpg,rose,\n")
    with pytest.raises(ValueError, match=said):
        list_table(path, columns=Columns(parent="parent"))
    listing = list_table(path)
    assert (len(listing.entries), listing.parents) == (2, {})
    assert said in listing.notes[0]
