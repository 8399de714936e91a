"""What is fuzzed: each reader with good inputs, and the words of its format.

What is read is imported in functions, so that an engine can watch the imports.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TEXT = "Pas de fièvre.\r\nToux 🙂 sèche\ndepuis 3 jours\u2028fin"
ANN = (
    "T1\tSign 7 13\tfièvre\nA1\tNegation T1\nT2\tSign 16 20;23 28\tToux sèche\n"
    "N1\tReference T2 MeSH:D003371\tcough\n#1\tAnnotatorNotes T1\tsure\n"
    "R1\tCause Arg1:T1 Arg2:T2\nE1\tSign:T1 Cause:T2\n*\tEquiv T1 T2\nM1\tDegree T2 high\n"
)
CONLL = (
    "-DOCSTART- -X- O\n\nPas\tRB\tO\nde\tIN\tO\nfièvre\tNN\tB-Sign\n\nToux\tNN\tI-Sign\n"
    "# newdoc id = a\n# text = a b\n#\tNN\tE-X\n\n-DOCSTART- (b)\n\nx B L-Y\n"
)
CONLLU = (
    "# global.columns = ID FORM LEMMA UPOS FEATS MISC NER\n# newdoc id = n/1\n# sent_id = s1\n"
    "# text = Du lit.\n1-2\tdu\t_\t_\t_\t_\t_\n1\tde\tde\tADP\t_\tSpaceAfter=No\tO\n"
    "2\tle\tle\tDET\tGender=Masc|Number=Sing\tSpacesAfter=\\s\\n\tO\n3\tlit\tlit\tNOUN\t_\t_\tB-X\n"
    "3.1\tx\t_\t_\t_\t_\t_\n4\t.\t.\tPUNCT\t_\tSpacesBefore=\\t\tO\n\n"
)
RECORD = {
    "note_id": "n1",
    "note_text": TEXT,
    "entities": [
        {"start_char": 7, "end_char": 13, "note_nlp_source_value": "Sign", "negated": True}
    ],
}
CONFIG = (
    "nlp:\n  '@core': pipeline\n  lang: eds\n  components: {a: {'@factory': eds.split, regex: x}}\n"
    "train:\n  nlp: ${ nlp }\n  batch_size: ${ 16 * 128 }\n  lr: 1e-3\n  list: [1, ~, yes, 'x']\n"
    "a: &x {b: 1}\nc: *x\n"
)


@dataclass
class Target:
    """What is fuzzed.

    Attributes:
        run: Reads one input.
        seeds: Inputs to begin with.
        words: What the format is made of.
        allowed: The error that a bad input may end in.
    """

    run: Callable[[bytes], Any]
    seeds: list[bytes]
    words: list[bytes]
    allowed: type[Exception]


def make_target(name: str, folder: Path) -> Target:
    """Return a target; what reads files has one in the folder."""
    return MAKERS[name](folder)


def _words(*words: str) -> list[bytes]:
    common = [
        "\n",
        "\r\n",
        "\r",
        "\t",
        " ",
        "\0",
        "\ufeff",
        "\u2028",
        "é",
        "🙂",
        "e\u0301",
        "<<<<<<< ",
    ]
    numbers = ["0", "-1", "7", "13", "99999999999999999999", "1e999", "0x10", "٣"]
    raw = [b"\xff\xfe", b"\xed\xa0\x80", b"\xc3", b"\x1f\x8b"]
    return [word.encode() for word in (*common, *numbers, *words)] + raw


def _ann(folder: Path) -> Target:
    from edspipe.data.standoff.parse import parse_annotations
    from edspipe.errors import DataError

    def run(data: bytes) -> None:
        parse_annotations({"d.ann": data}, TEXT, on_problem=lambda problem: None)
        parse_annotations({"d.a1": data[: len(data) // 2], "d.a2": data[len(data) // 2 :]}, TEXT)

    words = _words("T1", "T2", "A1", "N1", "R1", "E1", "M1", "#1", "*", ";", ":", "Arg1:", "Equiv")
    lines = [line.encode() for line in ANN.splitlines(keepends=True)]
    return Target(run, [ANN.encode(), *lines, b""], words, DataError)


def _txt(folder: Path) -> Target:
    from edspipe.data.text.streams import read_text
    from edspipe.errors import DataError

    path = folder / "note.txt"
    path.touch()
    streams = [read_text(path, by=by) for by in ("file", "line", "paragraph")]
    seeds = [TEXT.encode(), b"\xef\xbb\xbfa\r\n\r\nb\n\n", b""]
    return Target(_reading(path, streams), seeds, _words(), DataError)


def _jsonl(folder: Path) -> Target:
    from edspipe.data.json.streams import read_json
    from edspipe.errors import DataError

    path = folder / "notes.jsonl"
    path.touch()
    streams = [read_json(path), read_json(path, converter="omop")]
    line = json.dumps(RECORD, ensure_ascii=False).encode()
    words = _words(
        "{", "}", "[", "]", '"', ":", ",", "null", "NaN", "\\u0000", "\\ud800", "note_text"
    )
    return Target(_reading(path, streams), [line, line + b"\n" + line, b"{}"], words, DataError)


def _csv(folder: Path) -> Target:
    from edspipe.data.csv.streams import read_csv
    from edspipe.errors import DataError

    path = folder / "notes.csv"
    path.write_text("a\n")
    streams = [read_csv(path), read_csv(path, converter="text"), read_csv(path, quote=None)]
    seed = 'note_id,note_text\nn1,"Pas de ""fièvre"",\r\ntoux"\nn2,\nn3,""\n'.encode()
    return Target(
        _reading(path, streams), [seed, b"note_text\na\n"], _words(",", '"', '""'), DataError
    )


def _reading(path: Path, streams: list[Any]) -> Callable[[bytes], None]:
    """Return a function that writes a file and reads it with each stream."""
    from edspipe.errors import DataError

    def run(data: bytes) -> None:
        path.write_bytes(data)
        problem = None
        for stream in streams:
            try:
                for _ in stream:
                    pass
            except DataError as error:
                problem = error
        if problem is not None:
            raise problem

    return run


def _conll(folder: Path) -> Target:
    from io import BytesIO

    from edspipe.data.conll.format import parse_document, split_documents
    from edspipe.data.converters.conll import ConllConverter
    from edspipe.errors import DataError

    converter = ConllConverter()

    def run(data: bytes) -> None:
        by = "sentence" if len(data) % 2 else "document"
        for raw in split_documents(BytesIO(data), "x.conll", "x", by):
            columns = raw.columns or ("text", "pos", "ner")
            doc = converter.to_doc(parse_document(raw, columns))
            record = converter.to_record(doc)
            again = converter.to_doc(record)
            assert (again.text, len(again.ents)) == (doc.text, len(doc.ents)), "not the same again"

    words = _words(
        "-DOCSTART-", "# ", "# newdoc id = ", "# text = ", "B-X", "I-X", "E-", "O", "_", "1-2"
    )
    words += _words(
        "# global.columns = ", "SpaceAfter=No", "SpacesAfter=\\s", "|", "3.1", "Number=Sing|"
    )
    return Target(run, [CONLL.encode(), CONLLU.encode()], words, DataError)


def _markup(folder: Path) -> Target:
    from edspipe.doc.markup import parse_markup, render_markup
    from edspipe.errors import DataError

    def run(data: bytes) -> None:
        preset = "md" if len(data) % 2 else "xml"
        text, spans = parse_markup(data.decode("utf-8", "surrogateescape"), preset)
        again = parse_markup(render_markup(text, spans, preset), preset)
        assert repr(again) == repr((text, spans)), "not the same again"

    xml = (
        'Pas de <ent label=disease negated n=3 x="a &amp; &quot;b">fracture <ent>a</ent></ent> &lt;'
    )
    md = 'Pas de [fracture [a]()](disease negated n=3 x="a \\" b") \\[ \\\\'
    words = _words(
        "<ent", "</ent>", ">", "&lt;", "[", "](", ")", "\\", '"', "=", "label=", "true", "1.5"
    )
    return Target(run, [xml.encode(), md.encode()], words, DataError)


def _docbin(folder: Path) -> Target:
    import zlib

    from spacy.tokens import Doc, DocBin, Span
    from spacy.vocab import Vocab

    from edspipe.data.docbin.format import load_docs
    from edspipe.errors import DataError

    doc = Doc(Vocab(), words=["Pas", "de", "fièvre"], spaces=[True, True, False])
    doc.ents = [Span(doc, 2, 3, "sign")]
    doc.spans["a"] = [Span(doc, 0, 3, "x"), Span(doc, 0, 1, "y")]
    doc.user_data[("._.", "note_id", None, None)] = "n1"
    seed = zlib.decompress(DocBin(docs=[doc, doc], store_user_data=True).to_bytes())

    def run(data: bytes) -> None:
        for found in load_docs(zlib.compress(data, 1), Vocab()):
            assert len(found.text) >= len(found)
            assert all(0 <= ent.start < ent.end <= len(found) for ent in found.ents)

    return Target(run, [seed], _words("\x01", "\x7f"), DataError)


def _config(folder: Path) -> Target:
    from edspipe.config.files import read_config
    from edspipe.config.schema import link
    from edspipe.errors import ConfigError

    path = folder / "config.yml"

    def run(data: bytes) -> None:
        path.write_bytes(data)
        link(read_config(path))

    words = _words(
        "${ ", " }", "&x ", "*x", "<<: ", "!!python/object:os.system", "? ", "- ", "|\n  ", "%"
    )
    words += _words(
        "{", "}", "[", "]", "'", '"', "~", "@factory: ", "@core: ", " ** ", " * ", "---\n", "1e-3"
    )
    return Target(run, [CONFIG.encode(), b"a: ${ b }\nb: ${ 2 ** 3 }\n"], words, ConfigError)


MAKERS: dict[str, Callable[[Path], Target]] = {
    "ann": _ann,
    "txt": _txt,
    "jsonl": _jsonl,
    "csv": _csv,
    "conll": _conll,
    "markup": _markup,
    "docbin": _docbin,
    "config": _config,
}
