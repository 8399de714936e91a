"""Windows laid out in tables, against a layout that is written one cell at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edspipe.pipes.trainable.embeddings.layout import (
    MAX_PADDING,
    Layout,
    group_by_length,
    lay_out,
    table_limits,
)
from edspipe.pipes.trainable.embeddings.windows import Windows, make_windows, ranks

PADDING = 99
SUFFIX = [90, 91]
FUZZ = settings(max_examples=80, deadline=None, derandomize=True, database=None)
HEADS = st.sampled_from([(80,), (80, 81), (80, 5, 82), ()])


@st.composite
def notes(draw):
    """Texts of few different pieces, so that windows are equal by chance; their heads; the cut."""
    sizes = st.integers(0, 14)
    texts = draw(st.lists(st.lists(st.integers(1, 2), max_size=draw(sizes)), max_size=7))
    heads = [list(draw(HEADS)) for _ in texts]
    window = draw(st.integers(1, 6))
    return texts, heads, window, draw(st.integers(1, window)), draw(st.integers(1, 60))


def cut(texts: list[list[int]], window: int, stride: int) -> tuple[np.ndarray, Windows]:
    pieces = np.array([piece for text in texts for piece in text], dtype=np.int64)
    return pieces, make_windows(np.array([len(text) for text in texts]), window, stride)


def layout_of(texts, heads, window, stride, max_cells, *, merge) -> tuple[Layout, list[list[int]]]:
    """Return the layout, and what each window's row holds before padding."""
    pieces, windows = cut(texts, window, stride)
    layout = lay_out(
        pieces,
        windows,
        heads=heads,
        suffix=SUFFIX,
        padding=PADDING,
        max_padding=MAX_PADDING,
        max_cells=max_cells,
        merge=merge,
    )
    rows = [
        [*heads[text], *pieces[first : first + size].tolist(), *SUFFIX]
        for text, first, size in zip(windows.texts, windows.firsts, windows.lengths, strict=True)
    ]
    return layout, rows


def rows_of(layout: Layout) -> list[list[int]]:
    return [
        ids[: used.sum()].tolist()
        for table in layout.tables
        for ids, used in zip(table.ids, table.used, strict=True)
    ]


@given(notes())
@FUZZ
def test_each_window_is_laid_out_once(case):
    layout, rows = layout_of(*case, merge=False)
    assert sorted(rows_of(layout)) == sorted(rows)


@given(notes(), st.booleans())
@FUZZ
def test_offsets_point_at_the_first_piece(case, merge):
    texts, heads, window, stride, _ = case
    layout, rows = layout_of(*case, merge=merge)
    _, windows = cut(texts, window, stride)
    cells = np.concatenate([np.zeros(0, int), *(table.ids.ravel() for table in layout.tables)])
    starts = [cells[at:] for at in layout.offsets]
    before = [len(heads[text]) for text in windows.texts]
    assert len(starts) == len(rows)
    for cell, row, head in zip(starts, rows, before, strict=True):
        assert cell[: len(row) - head].tolist() == row[head:]


@given(notes(), st.booleans())
@FUZZ
def test_cells_of_different_windows_are_apart(case, merge):
    layout, rows = layout_of(*case, merge=merge)
    places = {tuple(row): at for row, at in zip(rows, layout.offsets.tolist(), strict=True)}
    assert len(set(layout.offsets.tolist())) >= len(places)
    assert merge or len(set(layout.offsets.tolist())) == len(rows)


@given(notes(), st.booleans())
@FUZZ
def test_what_is_not_used_is_padding(case, merge):
    layout, _ = layout_of(*case, merge=merge)
    for table in layout.tables:
        assert table.ids.shape == table.used.shape
        assert set(table.used.ravel().tolist()) <= {0, 1}
        assert (np.diff(table.used, axis=1) <= 0).all()
        assert ((table.ids == PADDING) == (table.used == 0)).all()
        assert table.used[0].all()


@given(notes())
@FUZZ
def test_equal_windows_are_merged(case):
    layout, rows = layout_of(*case, merge=True)
    found = rows_of(layout)
    texts, heads, window, stride, _ = case
    pieces, windows = cut(texts, window, stride)
    keys = {
        (tuple(heads[text]), tuple(pieces[at : at + size].tolist()))
        for text, at, size in zip(windows.texts, windows.firsts, windows.lengths, strict=True)
    }
    assert len(found) == len(keys)
    assert sorted(set(map(tuple, found))) == sorted(set(map(tuple, rows)))


@given(notes(), st.booleans())
@FUZZ
def test_tables_are_small_and_full(case, merge):
    *_, max_cells = case
    layout, _ = layout_of(*case, merge=merge)
    for table in layout.tables:
        assert table.ids.size <= max_cells or len(table.ids) == 1
        assert (table.used == 0).sum() <= MAX_PADDING
    widths = [table.ids.shape[1] for table in layout.tables]
    assert widths == sorted(widths, reverse=True)


def test_a_layout_cell_by_cell():
    texts, heads = [[1, 2, 3], [4], [1, 2]], [[80], [80], [80]]
    layout, _ = layout_of(texts, heads, 2, 2, 100, merge=True)
    (table,) = layout.tables
    assert table.ids.tolist() == [[80, 1, 2, 90, 91], [80, 3, 90, 91, 99], [80, 4, 90, 91, 99]]
    assert table.used.tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0], [1, 1, 1, 1, 0]]
    assert layout.offsets.tolist() == [1, 6, 11, 1]


@pytest.mark.parametrize("same_list", [True, False])
def test_equal_heads_merge_whether_or_not_they_are_one_list(same_list):
    head = [80]
    heads = [head, head] if same_list else [[80], [80]]
    layout, _ = layout_of([[1, 2], [1, 2]], heads, 4, 4, 100, merge=True)
    assert rows_of(layout) == [[80, 1, 2, 90, 91]]
    assert layout.offsets.tolist() == [1, 1]


def test_windows_behind_different_heads_are_not_merged():
    layout, _ = layout_of([[1, 2], [1, 2]], [[80], [81]], 4, 4, 100, merge=True)
    assert rows_of(layout) == [[80, 1, 2, 90, 91], [81, 1, 2, 90, 91]]


def test_a_head_does_not_run_into_the_pieces():
    layout, _ = layout_of([[1, 2], [2]], [[80], [80, 1]], 4, 4, 100, merge=True)
    assert layout.offsets.tolist() == [1, 7]


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("texts", [[], [[]], [[], []]])
def test_without_pieces_there_are_no_tables(texts, merge):
    layout, _ = layout_of(texts, [[80] for _ in texts], 4, 2, 100, merge=merge)
    assert layout.tables == []
    assert layout.offsets.shape == (0,)


# ---- groups ----------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 300), max_size=40), st.integers(1, 4096))
@FUZZ
def test_groups_hold_every_row_once_longest_first(lengths, max_cells):
    groups = group_by_length(np.array(lengths, dtype=np.int64), MAX_PADDING, max_cells)
    rows = [int(row) for group in groups for row in group]
    assert sorted(rows) == list(range(len(lengths)))
    assert [lengths[row] for row in rows] == sorted(lengths, reverse=True)


@given(st.lists(st.integers(1, 300), max_size=40), st.integers(1, 4096))
@FUZZ
def test_groups_keep_padding_and_cells_low(lengths, max_cells):
    for group in group_by_length(np.array(lengths, dtype=np.int64), MAX_PADDING, max_cells):
        sizes = [lengths[row] for row in group]
        assert max(sizes) * len(sizes) <= max_cells or len(sizes) == 1
        assert sum(max(sizes) - size for size in sizes) <= MAX_PADDING


def test_a_group_is_as_large_as_the_limits_allow():
    groups = group_by_length(np.full(10, 8), MAX_PADDING, 32)
    assert [len(group) for group in groups] == [4, 4, 2]
    assert len(group_by_length(np.array([200, 200 - MAX_PADDING]), MAX_PADDING, 4096)) == 1
    assert len(group_by_length(np.array([200, 199 - MAX_PADDING]), MAX_PADDING, 4096)) == 2
    step = MAX_PADDING // 2
    groups = group_by_length(np.array([100, 100 - step, 100 - step, 100 - step]), MAX_PADDING, 4096)
    assert [group.tolist() for group in groups] == [[0, 1, 2], [3]]


def test_rows_of_one_length_keep_their_order():
    (group,) = group_by_length(np.array([5, 7, 5, 7]), MAX_PADDING, 1000)
    assert group.tolist() == [1, 3, 0, 2]


@given(st.lists(st.integers(0, 5), max_size=12))
@FUZZ
def test_ranks_number_the_members_of_each_group(counts):
    expected = [i for count in counts for i in range(count)]
    assert ranks(np.array(counts, dtype=np.int64)).tolist() == expected


def test_a_gpu_gets_fewer_and_larger_tables(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    padding, cells = table_limits()
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert table_limits()[0] > padding
    assert table_limits()[1] > cells
