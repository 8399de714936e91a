"""A manifest that is written piece by piece is the same as one that is held in memory."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from edspipe.atomic import MANIFEST, verify_manifest
from edspipe.manifest import describe_folder, manifest_chunks, to_json

names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1)


@given(st.dictionaries(names, st.integers(0, 10**12), max_size=5))
def test_pieces_are_the_whole(sizes):
    files = [(name, size, "ab" * 32) for name, size in sizes.items()]
    pieces = b"".join(manifest_chunks(lambda: iter(files)))
    listed = {name: {"size": size, "sha256": "ab" * 32} for name, size in sizes.items()}
    whole = {"format": 1, "sha256": hashlib.sha256(to_json(listed)).hexdigest(), "files": listed}
    assert pieces == to_json(whole)


def test_a_folder_with_such_a_manifest_is_in_order(tmp_path):
    for name in ("a", "é\n", '"'):
        (tmp_path / name).write_text(name)
    files = describe_folder(tmp_path)["files"]
    rows = [(name, record["size"], record["sha256"]) for name, record in files.items()]
    pieces = b"".join(manifest_chunks(lambda: iter(rows)))
    assert pieces == to_json(describe_folder(tmp_path))
    (tmp_path / MANIFEST).write_bytes(pieces)
    verify_manifest(tmp_path)
