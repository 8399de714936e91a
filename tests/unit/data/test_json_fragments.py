"""How JSON files are cut into records: positions, identities, arrays that do not fit in memory."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tracemalloc
from pathlib import Path

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edspipe.data.json.array as json_array
from edspipe.data.json.array import iterate_array
from edspipe.data.json.streams import JsonFile, read_json
from edspipe.data.raw import BOM, Raw
from edspipe.errors import DataError
from edspipe.stream.hooks import identity_of, plain

RECORDS = [{"note_id": f"n{i}", "note_text": f"Toux {i}."} for i in range(5)]


def write_lines(path: Path, records: list = RECORDS) -> Path:
    data = "\n\n".join(map(json.dumps, records)).encode() + b"\n"
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(json_array, "BLOCK_BYTES", 3)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.json"])
def test_a_file_is_read_from_any_record_on(tmp_path, name):
    path = write_lines(tmp_path / name)
    if name == "a.json":
        path.write_text(json.dumps(RECORDS))
    file = JsonFile(str(path))
    all_records = list(file.read())
    assert len(all_records) == 5
    for start in range(7):
        assert list(file.read(start)) == all_records[start:]
    assert file.num_items() is None


@pytest.mark.parametrize("workers", [0, 1])
def test_a_stream_goes_on_from_every_position(tmp_path, workers):
    for name in ("a.jsonl", "b.jsonl"):
        write_lines(tmp_path / name, [{"note_id": name + r["note_id"]} for r in RECORDS])
    stream = read_json(tmp_path).set_processing(
        num_cpu_workers=workers, process_start_method="fork"
    )
    whole = list(stream)
    for number in (0, 1, 4, 5, 6, 9):
        with iter(stream) as first:
            for _ in range(number):
                next(first)
            state = json.loads(json.dumps(first.get_state()))
        with iter(stream) as second:
            second.set_state(state)
            assert list(second) == whole[number:]


def test_files_can_be_read_in_another_order(tmp_path):
    for i in range(20):
        write_lines(tmp_path / f"{i:02}.jsonl", [{"note_id": i}, {"note_id": i + 100}])
    ids = [record["note_id"] for record in read_json(tmp_path, shuffle="fragment", seed=1)]
    assert ids != sorted(ids)
    assert sorted(ids) == [*range(20), *range(100, 120)]
    assert all(abs(a - b) == 100 for a, b in zip(ids[::2], ids[1::2], strict=True))


def test_patterns_and_addresses_are_read(tmp_path):
    write_lines(tmp_path / "a.jsonl")
    write_lines(tmp_path / "b.jsonl.gz")
    assert list(read_json(tmp_path / "*.gz")) == RECORDS
    system = fsspec.filesystem("memory")
    system.pipe("/notes/a.jsonl.gz", (tmp_path / "b.jsonl.gz").read_bytes())
    try:
        assert list(read_json("memory://notes")) == RECORDS
    finally:
        system.rm("/notes", recursive=True)


@pytest.mark.parametrize("suffix", [".bz2", ".xz"])
def test_other_damaged_packed_files_are_named_too(tmp_path, suffix):
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(b"M. Dupont is no packed file")
    with pytest.raises(DataError, match=r"not a whole (bzip2|xz) file") as caught:
        list(read_json(path))
    assert "Dupont" not in str(caught.value)


def test_a_file_that_goes_is_an_error_of_the_system(tmp_path):
    path = write_lines(tmp_path / "a.jsonl.gz")
    stream = read_json(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        list(stream)


def test_a_raw_line_has_an_identity_without_text():
    raw = Raw("a.jsonl", 17, b'{"note_text": "Toux."}')
    digest = hashlib.sha256(b'{"note_text": "Toux."}').hexdigest()
    assert identity_of(raw) == (None, "a.jsonl:17", digest)
    assert plain(raw) == '{"note_text": "Toux."}'


def test_a_raw_value_has_the_identity_of_its_record():
    raw = Raw("a.json", None, RECORDS[3], 3)
    assert identity_of(raw) == ("n3", "a.json[3]", identity_of(RECORDS[3]).sha256)
    assert plain(raw) == RECORDS[3]


def test_bad_lines_go_to_a_quarantine_as_they_are(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"note_id": "x"}\n{"note_text": \n')
    stream = read_json(path).set_processing(on_error=f"quarantine:{tmp_path / 'bad.jsonl'}")
    assert list(stream) == [{"note_id": "x"}]
    (kept,) = read_json(tmp_path / "bad.jsonl")
    assert kept["source"] == f"{path}:2"
    assert kept["document"] == '{"note_text": '


# ---- arrays ------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def values_of(data: bytes) -> list:
    return list(iterate_array(io.BytesIO(data), "a.json"))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("is_ascii", [True, False])
def test_arrays_are_what_json_says_wherever_blocks_end(indent, is_ascii):
    @settings(max_examples=30)
    @given(st.lists(JSON, max_size=4))
    def check(values):
        text = json.dumps(values, indent=indent, ensure_ascii=is_ascii)
        assert values_of(text.encode("utf-8", "replace")) == json.loads(
            text.encode("utf-8", "replace")
        )

    check()


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("value", [12345.678e9, "a", {"a": 1}, True, None, "é\u2028😀"])
def test_one_value_is_one_record(value):
    text = json.dumps(value, ensure_ascii=False).encode()
    assert values_of(BOM + b" \n" + text + b"\n ") == [value]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"not valid JSON at line 1 \(Expecting value\)"),
        (b"[", r"not valid JSON at line 1 \(Expecting value\)"),
        (b'[1\n, "Dup', r"not valid JSON at line 2 \(Unterminated string starting at\)"),
        (b"[\n1\n2]", r"not valid JSON at line 3 \(Expecting ',' delimiter\)"),
        (b"[1,\n\n]", r"not valid JSON at line 3 \(Expecting value\)"),
        (b"[1\n", r"not valid JSON at line 2 \(Expecting ',' delimiter\)"),
        (b"[1]\n\n[2]", r"not valid JSON at line 3 \(Extra data\)"),
        (b'{"a": 1}\n{"a": 2}', r"not valid JSON at line 2 \(Extra data\)"),
        (b'["aaaaaaaaaa", "\xe9"]', "not UTF-8 at byte 16"),
        (b'["aaaaaaaaaa", "\xc3', "not UTF-8 at byte 16"),
        (b"[" + b"1" * 5000 + b"]", "not valid JSON: a number has too many digits"),
        (b"[" * 100_000, "not valid JSON: nested too deeply"),
    ],
)
def test_a_damaged_array_is_named_with_its_line(data, message):
    with pytest.raises(DataError, match=f"^a.json: {message}") as caught:
        values_of(data)
    assert "Dup" not in str(caught.value)


def test_records_before_the_damage_are_delivered(monkeypatch):
    monkeypatch.setattr(json_array, "BLOCK_BYTES", 8)
    values = iterate_array(io.BytesIO(b"[1, 2, 3, 4, 5, ?]"), "a.json")
    assert [next(values) for _ in range(5)] == [1, 2, 3, 4, 5]
    with pytest.raises(DataError, match="not valid JSON at line 1"):
        next(values)


def test_an_array_takes_the_memory_of_a_block_and_a_record(tmp_path, monkeypatch):
    monkeypatch.setattr(json_array, "BLOCK_BYTES", 1 << 12)
    path = tmp_path / "a.json"
    record = json.dumps({"note_text": "x" * 1000})
    path.write_text("[" + ",\n".join([record] * 4000) + "]")
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_json(path)) == 4000
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1_000_000 < path.stat().st_size / 4
