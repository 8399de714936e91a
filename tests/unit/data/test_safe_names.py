from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edspipe.data.safe_names import decode_path, encode_id, needs_map

HOSTILE = [
    *("../x", "/abs", "a/../../b", "..", ".", "", "/", "a//b", "a/", "\x00", "CON", "nul.txt"),
    *("com1", "lpt9.a.b", "%2e%2e", "%", "%%", "a.txt.b", "a.txt", "c:\\x", "\\\\host\\x", ".git"),
    *("a.", "a ", " ", "a\nb", "a\x7fb", "x.txt/y", "x.ann/y", "ids.json/y", "manifest.json/x"),
    *("IDS.JSON", "~", "a?b*", "\ud800", "é", "😀", "a\u2028b", "%~", "%C3", "%c3%a9", "-x"),
]


@pytest.mark.parametrize("doc_id", HOSTILE)
def test_an_id_reads_back_exactly(doc_id):
    assert decode_path(encode_id(doc_id)) == doc_id


@pytest.mark.parametrize("doc_id", HOSTILE)
def test_no_path_leaves_its_folder(doc_id):
    path = encode_id(doc_id)
    inside = os.path.normpath(os.path.join("/out", path))
    assert inside == f"/out/{path}"
    assert not any(part.startswith(".") or not part for part in path.split("/"))


@pytest.mark.parametrize("doc_id", ["12", "a/b", "S0004-06142005", "compte rendu", "a.b", "été"])
def test_a_safe_id_is_its_own_path(doc_id):
    assert encode_id(doc_id) == doc_id


@pytest.mark.parametrize("doc_id", ["x" * 300, "é" * 101, "a/" + "y" * 201, "/".join("a" * 900)])
def test_a_long_id_is_hashed_and_needs_the_map(doc_id):
    path = encode_id(doc_id)
    assert needs_map(path)
    assert max(len(os.fsencode(part)) for part in path.split("/")) <= 200
    assert decode_path(path, {path: doc_id}) == doc_id


def test_a_hashed_path_without_its_map_is_its_own_id():
    path = encode_id("x" * 300)
    assert decode_path(path) == path


def test_200_bytes_are_not_hashed():
    assert not needs_map(encode_id("x" * 200))


def test_a_path_of_another_tool_is_its_own_id():
    assert decode_path("a%20b") == "a%20b"


def test_a_folder_cannot_take_the_name_of_a_document():
    assert encode_id("x.txt/y").split("/")[0] != encode_id("x") + ".txt"


@given(st.text(max_size=30) | st.text(alphabet="./%~ aC\x00", max_size=12))
def test_ids_and_paths_go_together(doc_id):
    path = encode_id(doc_id)
    assert needs_map(path) or decode_path(path) == doc_id
    assert not {"..", ".", ""} & set(path.split("/"))


@given(st.lists(st.text(alphabet="./%~ aN\x00é", max_size=8), max_size=20, unique=True))
def test_two_ids_never_share_a_path(doc_ids):
    assert len({encode_id(doc_id) for doc_id in doc_ids}) == len(doc_ids)
