"""CSV: types that hold in every row, compression, text that only looks like CSV."""

import bz2
import gzip
import io
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statkit.sources import CsvSource, as_source, csv


@pytest.fixture
def write(tmp_path):
    def write(text, name="a.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of a few lines, so that types are inferred from the first of them."""
    monkeypatch.setattr(csv, "_BLOCK_BYTES", 64)


def test_types(write, read_all, spools):
    path = write(
        "i,f,b,d,t,s,n\n1,1.5,true,2001-01-01,2001-01-01 10:00:00,x,\n"
        ',NA,false,2001-01-02,,NA,\n3,,,,,"NA",\n'
    )
    source = as_source(path)
    assert isinstance(source, CsvSource)
    table = read_all(source)
    assert [str(t) for t in source.schema.values()] == [
        "int64", "double", "bool", "date32[day]", "timestamp[s]", "string", "null",
    ]  # fmt: skip
    assert table.column("i").to_pylist() == [1, None, 3]
    assert table.column("f").to_pylist() == [1.5, None, None]
    assert table.column("b").to_pylist() == [True, False, None]
    assert table.column("s").to_pylist() == ["x", None, "NA"]  # the last one is quoted
    assert source.read(source.partitions()[0], ["s"]).where == "a.csv, rows 0–2"
    assert spools()
    source.close()
    assert not spools()
    with pytest.raises(ValueError, match=r"a.csv: the source is closed"):
        source.read(source.partitions()[0], ["s"])


@pytest.mark.parametrize(
    ("late", "kind"),
    [
        ("2.5", "double"),
        ("abc", "string"),
        ("007x", "string"),
        ("true", "string"),
        ("99999999999999999999", "double"),
        ("", "int64"),
    ],
)
def test_late_contradiction(write, values, small_blocks, late, kind):
    early = [f"{i:02d}" for i in range(200)]
    source = as_source(write("\n".join(["x,y", *[f"{v},1" for v in early], f"{late},1"])))
    assert str(source.schema["x"]) == kind
    read = values(source, "x")
    if kind == "string":
        assert read == [*early, late]  # the text itself: 00, 01, …
    else:
        assert read == [*map(float, early), float(late) if late else None]


def test_two_columns_contradict_and_one_twice(write, values, small_blocks):
    lines = [f"{i},{i}," for i in range(100)] + ["0.5,x,5"] + ["y,1,2.5"]
    source = as_source(write("\n".join(["a,b,c", *lines])))
    assert [str(t) for t in source.schema.values()] == ["string", "string", "double"]
    assert values(source, "a")[-2:] == ["0.5", "y"] and values(source, "c")[-3:] == [None, 5.0, 2.5]


def test_dates_then_times(write, values, small_blocks):
    lines = ["2001-01-01"] * 50 + ["2001-01-02 10:30:00"]
    source = as_source(write("\n".join(["when", *lines])))
    assert pa.types.is_timestamp(source.schema["when"])
    assert values(source, "when")[-1].hour == 10


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv.bz2", "a.tsv", "a.tab.gz"])
def test_names(write, values, name):
    text = "x,y\n1,a\n2,b\n".replace(",", "\t" if name[2] == "t" else ",").encode()
    packed = {"gz": gzip.compress, "bz2": bz2.compress}.get(name.rsplit(".")[-1], bytes)(text)
    assert values(as_source(write(packed, name)), "y") == ["a", "b"]


def test_several_files(write, values, tmp_path):
    write("x,y\n1,a\n", "1.csv")
    write("y,x\nb,2.5\n", "2.csv")
    source = as_source(str(tmp_path / "*.csv"), weight=[1.0, 2.0])
    assert values(source, "x") == [1.0, 2.5] and values(source, "y") == ["a", "b"]
    assert source.read(source.partitions()[0], ["x"]).beside["weight"].tolist() == [1.0, 2.0]
    assert source.name == "1.csv (and 1 more files)"
    write("z\n1\n", "3.csv")
    with pytest.raises(ValueError, match=r"the files differ: 3.csv"):
        as_source(tmp_path)


def test_line_breaks_in_quotes(write, values, small_blocks):
    texts = [f"a\n{'b' * (i % 30)}, c" for i in range(100)]
    path = write("x,i\n" + "".join(f'"{t}",{i}\n' for i, t in enumerate(texts)))
    assert values(as_source(path), "x") == texts


def test_a_line_longer_than_a_block(write, values, small_blocks):
    assert values(as_source(write("x\na\n" + "b" * 5000 + "\n")), "x") == ["a", "b" * 5000]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.csv is empty"),
        ("x,y\n1,2\n3\n", r"a.csv is not a CSV file that can be read.*Row #3.*Expected 2 columns, got 1"),
        ("x,x\n1,2\n", "a.csv has two columns named 'x'"),
        (b"x\n\xff\xfe\n", r"column 'x' of a.csv is not text in utf8.*encoding"),
    ],
)
def test_bad_files(write, spools, text, message):
    with pytest.raises(ValueError, match=message):
        as_source(write(text))
    assert not spools()


def test_encoding_delimiter_and_byte_order_mark(write, values):
    path = write("x;y\nä;1\n".encode("latin1"), "a.txt")
    source = CsvSource(path, delimiter=";", encoding="latin1")
    assert values(source, "x") == ["ä"] and values(source, "y") == [1]
    assert list(as_source(write(b"\xef\xbb\xbfx\n1\n")).schema) == ["x"]


def test_header_alone(write):
    source = as_source(write("x,y\n"))
    assert source.n_rows == 0 and list(source.schema) == ["x", "y"] and source.partitions() == ()


def test_token_follows_the_file(write):
    path = write("x\n1\n")
    assert as_source(path).token == as_source(path).token != as_source(write("x\n12\n")).token
    assert as_source(path, y=[1]).token != as_source(path).token


def test_standard_input(monkeypatch, values, spools):
    class Stdin:
        buffer = io.BytesIO(b"x\ty\n1\ta\n2\tb\n")

    monkeypatch.setattr(sys, "stdin", Stdin)
    source = as_source("-")
    assert values(source, "y") == ["a", "b"]
    assert source.read(source.partitions()[0], ["x"]).where == "standard input, rows 0–1"
    source.close()
    assert not spools()
    with pytest.raises(ValueError, match="standard input is empty"):
        as_source("-")


def test_open_files(write, values):
    with open(write("x,y\n1,a\n")) as file:
        assert values(as_source(file), "y") == ["a"]
    assert values(as_source(io.StringIO("x\n3\n")), "x") == [3]


def test_row_groups_of_a_long_file(write):
    n = 300_000
    source = as_source(write("x\n" + "\n".join(map(str, range(n)))))
    assert [p.n_rows for p in source.partitions()] == [131_072, 131_072, n - 262_144]
    last = source.read(source.partitions()[-1], ["x"])
    np.testing.assert_array_equal(last.table.column("x").to_numpy(), np.arange(262_144, n))


cells = st.text('ab0.1-,"\n é', max_size=4) | st.integers(-99, 99).map(str) | st.just("NA")


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=30))
def test_no_value_is_lost(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    quote = {s: '"' + s.replace('"', '""') + '"' for pair in rows for s in pair}
    path.write_text("x,y\n" + "".join(f"{quote[a]},{quote[b]}\n" for a, b in rows), newline="")
    with as_source(path) as source:
        read = [source.read(p, ["x", "y"]).table for p in source.partitions()]
    for j, name in enumerate("xy"):
        got = [v for t in read for v in t.column(name).to_pylist()]
        assert len(got) == len(rows)
        for value, pair in zip(got, rows, strict=True):
            if isinstance(value, str):
                assert value == pair[j]
            elif value is not None:
                assert float(value) == float(pair[j])
