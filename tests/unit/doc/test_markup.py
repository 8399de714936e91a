"""Marked-up text: what is read, what is written, and that one gives the other back."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edspipe.doc.markup import PRESETS, MarkedSpan, parse_markup, render_markup
from edspipe.errors import DataError

TEXT = "Pas de fracture."


@pytest.mark.parametrize(
    ("preset", "marked"),
    [
        ("xml", "Pas de <ent label=disease negated=true>fracture</ent>."),
        ("xml", 'Pas de <ent negated label="disease" >fracture</ent>.'),
        ("md", "Pas de [fracture](disease negated=true)."),
        ("md", 'Pas de [fracture]( "disease" negated ).'),
    ],
)
def test_a_span_with_a_label_and_an_attribute(preset, marked):
    assert parse_markup(marked, preset) == (
        TEXT,
        [MarkedSpan(7, 15, "disease", {"negated": True})],
    )


@pytest.mark.parametrize(
    ("preset", "marked"),
    [
        ("xml", "<ent label=a>x<ent label=b>y</ent></ent><ent>z</ent>"),
        ("md", "[x[y](b)](a)[z]()"),
    ],
)
def test_spans_within_spans_are_read_and_written(preset, marked):
    text, spans = parse_markup(marked, preset)
    assert (text, spans) == (
        "xyz",
        [MarkedSpan(0, 2, "a"), MarkedSpan(1, 2, "b"), MarkedSpan(2, 3)],
    )
    assert render_markup(text, spans, preset) == marked


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("False", False),
        ("none", None),
        ("3", 3),
        ("-3", -3),
        ("0", 0),
        ("007", "007"),
        ("3.5", 3.5),
        ("-0.0", -0.0),
        ("1e+16", 1e16),
        ("2.5e-07", 2.5e-07),
        ("1E5", "1E5"),
        ("-inf", -math.inf),
        ("J45.9", "J45.9"),
        ("élevé", "élevé"),
        ('"3"', "3"),
        ('"true"', "true"),
        ('""', ""),
        ('"a b\n>)"', "a b\n>)"),
    ],
)
def test_values_have_types(preset, written, value):
    marked = f"<ent a={written}>x</ent>" if preset == "xml" else f"[x](l a={written})"
    (span,) = parse_markup(marked, preset)[1]
    (found,) = span.attributes.values()
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("preset", "marked", "text"),
    [
        ("xml", "a &lt;ent&gt; &amp;lt; &quot;", 'a <ent> &lt; "'),
        ("xml", "T < 38 & stable > 2 &eacute; <3 <", "T < 38 & stable > 2 &eacute; <3 <"),
        ("xml", "[a](b) \\", "[a](b) \\"),
        ("md", r"\[a\](b) \\ C:\x \(", r"[a](b) \ C:\x \("),
        ("md", "<ent> & a(b)", "<ent> & a(b)"),
    ],
)
def test_escapes_are_read_and_what_is_no_markup_is_text(preset, marked, text):
    assert parse_markup(marked, preset) == (text, [])


@pytest.mark.parametrize(
    ("preset", "marked", "message"),
    [
        ("xml", "ab<ent>x", "2: a span begins here and does not end"),
        ("xml", "ab</ent>", "2: nothing is open that could end here"),
        ("xml", "ab<ent></ent>", "2: a span covers no text"),
        ("xml", "a<b>c", "1: expected <ent label=... name=value> or </ent>; a '<' is &lt;"),
        ("xml", "a<ents>c", "1: expected <ent label=... name=value> or </ent>; a '<' is &lt;"),
        ("xml", "a</x>", "1: expected <ent label=... name=value> or </ent>; a '<' is &lt;"),
        ("xml", "<ent a=1 a=2>c", "9: an attribute stands twice"),
        ("xml", '<ent "Dupont">c</ent>', "5: expected the name of an attribute"),
        ("xml", "<ent 3>c</ent>", "5: expected the name of an attribute"),
        ("xml", '<ent a="Dupont>c</ent>', "6: expected a name, name=value, or the end of the span"),
        ("xml", "<ent a=Dupont", "13: expected a name, name=value, or the end of the span's head"),
        ("md", "ab[x", "2: a span begins here and does not end"),
        ("md", "a]", "1: nothing is open that could end here"),
        ("md", "[](a)", "0: a span covers no text"),
        ("md", "[Dupont] a", "7: expected ](label name=value); a bracket of the text is"),
        ("md", "[x](a b=1 b)", "10: an attribute stands twice"),
        ("md", "[x](a 'Dupont')", "6: expected a name, name=value, or the end of the span's head"),
        ("md", "[x](a 5)", "6: expected the name of an attribute"),
    ],
)
def test_malformed_markup_is_named_by_its_offset(preset, marked, message):
    with pytest.raises(DataError) as caught:
        parse_markup(marked, preset)
    assert str(caught.value).startswith(f"malformed markup at character {message}")
    assert "Dupont" not in str(caught.value)


@pytest.mark.parametrize("preset", PRESETS)
def test_crossing_spans_are_an_error(preset):
    spans = [MarkedSpan(0, 3), MarkedSpan(2, 5)]
    message = "the spans of characters 0 to 3 and 2 to 5 cross, and markup can only nest spans"
    with pytest.raises(DataError, match=message):
        render_markup(TEXT, spans, preset)


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 2), (3, 2), (0, 17)])
def test_spans_outside_the_text_are_an_error(start, end):
    message = rf"0 <= start < end <= 16 characters, got {start} to {end}"
    with pytest.raises(DataError, match=message):
        render_markup(TEXT, [MarkedSpan(start, end)])


@pytest.mark.parametrize(
    ("preset", "attributes", "message"),
    [
        ("xml", {"label": 1}, "an attribute cannot be named 'label'"),
        ("xml", {"a b": 1}, "the name of an attribute begins with a letter.* of 3 characters"),
        ("md", {"": 1}, "the name of an attribute begins with a letter.* of 0 characters"),
        ("md", {"a": [1]}, "the attribute 'a' holds a list: markup has booleans, numbers"),
    ],
)
def test_attributes_that_have_no_form_are_an_error(preset, attributes, message):
    with pytest.raises(DataError, match=message):
        render_markup(TEXT, [MarkedSpan(0, 3, "a", attributes)], preset)


@pytest.mark.parametrize("function", [parse_markup, lambda *args: render_markup("", [], args[1])])
def test_an_unknown_preset_is_refused(function):
    with pytest.raises(ValueError, match="a preset of markup is one of xml, md; got 'html'"):
        function("", "html")


# ---- there and back ----------------------------------------------------------------------------

SIGNS = st.text(alphabet="ab <>&;/[]()\\\"'=\n\té\U0001f600\u2028ltentquampg#", max_size=25)
VALUES = st.one_of(
    st.booleans(),
    st.none(),
    st.integers(),
    st.floats(allow_nan=False),
    SIGNS,
    st.sampled_from(
        ["true", "None", "nan", "inf", "007", "1e5", "-1", "1.0", "&quot;", '\\"', ")"]
    ),
)
ATTRIBUTES = st.dictionaries(
    st.from_regex(r"[A-Za-z_][\w.:-]{0,3}", fullmatch=True), VALUES, max_size=3
)


@st.composite
def marked_texts(draw: st.DrawFn) -> tuple[str, list[MarkedSpan]]:
    """A text, and spans of which none cross."""
    text = draw(SIGNS)
    spans: list[MarkedSpan] = []
    pairs = st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))
    for start, end in draw(st.lists(pairs, max_size=6)):
        crosses = any(s.start < start < s.end < end or start < s.start < end < s.end for s in spans)
        if start < end and not crosses:
            attributes = {k: v for k, v in draw(ATTRIBUTES).items() if k != "label"}
            spans.append(MarkedSpan(start, end, draw(SIGNS), attributes))
    return text, sorted(spans, key=lambda span: (span.start, -span.end))


def exactly(spans: list[MarkedSpan]) -> list[Any]:
    return [
        (s.start, s.end, s.label, [(k, repr(v)) for k, v in s.attributes.items()]) for s in spans
    ]


@pytest.mark.parametrize("preset", PRESETS)
@given(drawn=marked_texts())
def test_text_and_spans_come_back_from_what_is_written(preset, drawn):
    text, spans = drawn
    again, found = parse_markup(render_markup(text, spans, preset), preset)
    assert again == text
    assert exactly(found) == exactly(spans)


@pytest.mark.parametrize("preset", PRESETS)
@given(marked=SIGNS)
def test_any_text_is_read_or_refused(preset, marked):
    try:
        text, spans = parse_markup(marked, preset)
    except DataError:
        return
    assert parse_markup(render_markup(text, spans, preset), preset) == (text, spans)


@pytest.mark.parametrize(
    "marked",
    ["<ent " * 20_000, "<ent>x" * 20_000, "[" * 50_000, "\\" * 50_000, "<ent a" + " " * 50_000],
)
@pytest.mark.parametrize("preset", PRESETS)
def test_time_is_linear(preset, marked):
    start = time.process_time()
    with suppress(DataError):
        parse_markup(marked, preset)
    assert time.process_time() - start < 2
