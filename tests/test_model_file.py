"""The model file: what is written comes back, and what is not a model is refused in one clear sentence."""

import io
import json
import os
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from statkit._model_file import VERSION, read_model, write_model


def same(a, b):
    if isinstance(a, np.ndarray):
        return (
            isinstance(b, np.ndarray)
            and a.dtype == b.dtype
            and np.array_equal(a, b, equal_nan=a.dtype.kind in "fcmM")
        )
    if isinstance(a, float):
        return isinstance(b, float) and (a == b or (a != a and b != b))
    if isinstance(a, dict):
        return type(b) is dict and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


arrays = hnp.arrays(
    st.sampled_from([np.float64, np.float32, np.int64, np.int8, np.bool_, np.dtype("M8[s]")]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
keys = (
    st.text(max_size=4)
    | st.sampled_from(["$array", "$float", "$dict"])
    | st.integers()
    | st.tuples(st.integers())
)
documents = st.recursive(
    scalars | arrays,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(document=st.dictionaries(keys, documents, max_size=4))
def test_round_trip(tmp_path_factory, document):
    path = tmp_path_factory.mktemp("model") / "model"
    write_model(path, document)
    assert same(document, read_model(path))


def test_numpy_scalars_become_python_numbers(tmp_path):
    write_model(
        tmp_path / "m", {"a": np.float64(-np.inf), "b": np.int32(3), "c": np.bool_(True), "d": np.str_("x")}
    )
    assert same(read_model(tmp_path / "m"), {"a": -np.inf, "b": 3, "c": True, "d": "x"})


def test_string_arrays(tmp_path):
    write_model(tmp_path / "m", {"o": np.array(["a", "ß"], dtype=object), "u": np.array(["x"])})
    back = read_model(tmp_path / "m")
    assert back["o"].tolist() == ["a", "ß"] and back["o"].dtype.kind == "U"


def test_same_document_same_bytes(tmp_path):
    for name in "ab":
        write_model(tmp_path / name, {"x": np.arange(5.0)})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, b"bytes", np.array([object()]), np.array(["a\0", "b"], dtype=object), 1j]
)
def test_what_it_cannot_hold_is_named_and_nothing_is_written(tmp_path, value):
    (tmp_path / "m").write_bytes(b"precious")
    with pytest.raises(TypeError, match=r"document\['outer'\]\[0\]"):
        write_model(tmp_path / "m", {"outer": [value]})
    assert (tmp_path / "m").read_bytes() == b"precious"
    assert os.listdir(tmp_path) == ["m"]


def write_zip(path, head, members=None):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("model.json", head if isinstance(head, (str, bytes)) else json.dumps(head))
        for name, content in (members or {}).items():
            file.writestr(name, content)
    return path


def head(document, version=VERSION):
    return {"format": "statkit-model", "version": version, "document": document}


def npy(array, **options):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


def lying_npy():
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**40,)})
    return header.getvalue()


REF = {"a": {"$array": 0}}


@pytest.mark.parametrize(
    ("content", "members", "message"),
    [
        (head({}, version=VERSION + 1), {}, "newer statkit"),
        (head({}, version="1"), {}, "version '1'"),
        (head({}, version=True), {}, "version True"),
        ({"format": "other", "version": 1, "document": {}}, {}, "not that of a statkit model"),
        ([], {}, "not that of a statkit model"),
        (head([]), {}, "document is not a dict"),
        ("{", {}, "cannot be read"),
        (b"\xff\xfe\xfd", {}, "cannot be read"),
        ('{"format": "statkit-model", "version": 1, "document": {"a": NaN}}', {}, "not JSON"),
        (
            '{"format": "statkit-model", "version": 1, "document": {"a": ' + "[" * 10**5,
            {},
            "nested too deeply",
        ),
        (head(REF), {}, "does not have"),
        (head({"a": {"$array": "../../etc/passwd"}}), {}, "does not have"),
        (head({"a": {"$array": True}}), {"True.npy": npy(np.zeros(1))}, "does not have"),
        (head({"a": {"$array": 0, "b": 1}}), {}, "stands beside"),
        (head({"a": {"$float": "1e5"}}), {}, "means nothing"),
        (head({"a": {"$python": "os.system"}}), {}, "means nothing"),
        (head({"a": {"$dict": [[[1], 2]]}}), {}, "unhashable"),
        (head({"a": {"$dict": [3]}}), {}, "cannot be read"),
        (head(REF), {"0.npy": npy(np.array([{}], dtype=object), allow_pickle=True)}, "holds object"),
        (head(REF), {"0.npy": npy(np.zeros(9))[:-3]}, "wrong length"),
        (head(REF), {"0.npy": lying_npy()}, "wrong length"),
        (head(REF), {"0.npy": b"not an array"}, "cannot be read"),
    ],
)
def test_hostile_contents(tmp_path, content, members, message):
    path = write_zip(tmp_path / "m", content, members)
    with pytest.raises(ValueError, match=message) as caught:
        read_model(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_object_arrays_are_not_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "exploded"),))

    path = write_zip(
        tmp_path / "m", head(REF), {"0.npy": npy(np.array([Bomb()], dtype=object), allow_pickle=True)}
    )
    with pytest.raises(ValueError, match="object"):
        read_model(path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_other_files(tmp_path):
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ValueError, match="cannot be read as a statkit model"):
        read_model(tmp_path / "text")
    with zipfile.ZipFile(tmp_path / "empty", "w"):
        pass
    with pytest.raises(ValueError, match=r"no model\.json"):
        read_model(tmp_path / "empty")
    with zipfile.ZipFile(tmp_path / "twice", "w") as file:
        for _ in range(2):
            file.writestr("model.json", json.dumps(head({})))
    with pytest.raises(ValueError, match="one name"):
        read_model(tmp_path / "twice")
    with pytest.raises(FileNotFoundError):
        read_model(tmp_path / "absent")


def test_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("statkit._model_file.MAX_BYTES", 10**6)
    path = tmp_path / "m"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("model.json", json.dumps(head(REF)))
        file.writestr("0.npy", b"\0" * 2 * 10**6)
    with pytest.raises(ValueError, match="claims to unpack"):
        read_model(path)


@settings(max_examples=200, deadline=None)
@given(position=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_a_damaged_file_reads_as_it_was_or_is_refused(tmp_path_factory, position, byte):
    path = tmp_path_factory.mktemp("model") / "m"
    document = {"x": np.arange(20.0), "y": ["a", {"b": 1.5}]}
    write_model(path, document)
    content = bytearray(path.read_bytes())
    content[int(position * len(content))] = byte
    path.write_bytes(content)
    try:
        back = read_model(path)
    except ValueError:
        return
    assert same(document, back)
