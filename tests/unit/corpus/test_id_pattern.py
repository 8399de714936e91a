"""IdPattern: the group of a document in its id."""

from __future__ import annotations

import pickle

import pytest
from made_up_docs import make_doc

from edspipe.corpus.id_pattern import IdPattern


@pytest.mark.parametrize(
    ("ident", "group"),
    [("110-01", "110"), ("7-2", "7"), ("x110-01", None), ("110", None), (None, None)],
)
def test_the_group_stands_in_parentheses(ident: str | None, group: str | None) -> None:
    assert IdPattern(r"(\d+)-\d+")(make_doc(ident)) == group


def test_it_goes_to_other_processes() -> None:
    assert pickle.loads(pickle.dumps(IdPattern("(.)1")))(make_doc("a1")) == "a"  # noqa: S301


def test_what_is_no_regular_expression_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no regular expression: '\('"):
        IdPattern("(")


@pytest.mark.parametrize(("pattern", "number"), [("a", 0), ("(a)(b)", 2)])
def test_one_pair_of_parentheses_is_wanted(pattern: str, number: int) -> None:
    with pytest.raises(ValueError, match=rf"expected one pair of parentheses.*; it has {number}"):
        IdPattern(pattern)
