"""Every spaCy factory of edspipe: added, run, saved and loaded, in a process without torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FACTORIES = sorted(PROJECT["entry-points"]["spacy_factories"])

CONFIGS: dict[str, dict[str, Any]] = {
    "edspipe_matcher": {"terms": {"symptom": ["fever", "fièvre"]}, "span_setter": "found"},
    "edspipe_terminology": {
        "label": "disorder",
        "terms": {"J45": ["asthma", "asthme"]},
        "span_setter": "terms",
    },
    "edspipe_contextual_matcher": {
        "label": "stage",
        "patterns": [{"source": "stage", "regex": ["stade", "stage"]}],
        "span_setter": "stages",
    },
    "edspipe_umls": {"path": "mrconso.csv"},
    "edspipe_score": {"score_name": "pain", "terms": ["EVA"], "highest": 10},
}
"""What factories need that have no defaults."""

UMLS = """\
C0015967|ENG|P|L1|PF|S1|Y|A1||||MSH|PT|D1|fever|0|N||
C0015967|FRE|P|L2|PF|S2|Y|A2||||MSH|PT|D1|fièvre|0|N||
"""

TEXTS = {
    "en": """\
Reason for admission: fever.
Past medical history: asthma, type 2 diabetes, no cough.
Sodium | 135 | mmol/L
Potassium | 4.1 | mmol/L
Glasgow 15, EVA 3/10, pT2N0M0, stage 3, weight 72 kg since 12 March 2020. Possible COVID-19.
His mother reports paracetamol 1 g. BHGSA7A0. Code I10.
""",
    "fr": """\
Motif : fièvre.
Antécédents : asthme, diabète de type 2, pas de toux.
Sodium | 135 | mmol/L
Potassium | 4,1 | mmol/L
Glasgow 15, EVA 3/10, pT2N0M0, stade 3, poids 72 kg depuis le 12 mars 2020. Possible COVID-19.
Sa mère signale du paracétamol 1 g. BHGSA7A0. Code I10.
""",
}

CODE = """
import json, sys
for name in ("torch", "transformers", "torchcrf", "accelerate"):
    sys.modules[name] = None
import spacy
from edspipe.doc.attributes import span_attributes
from edspipe.doc.span_access import get_spans

job = json.load(sys.stdin)

def seen(doc):
    spans = [
        [group, s.start, s.end, s.label_, s.kb_id_, s.id_, span_attributes(s)]
        for group in ["ents", *sorted(doc.spans)]
        for s in get_spans(doc, group)
    ]
    return [spans, [token.is_sent_start for token in doc]]

out = {}
for lang, text in job["texts"].items():
    nlp = spacy.blank(lang)
    failed = {}
    for factory in job["factories"]:
        try:
            pipe = nlp.add_pipe(factory, config=job["configs"].get(factory, {}))
            alone = pipe(nlp.make_doc(text))
            once = seen(alone)
            if seen(pipe(alone)) != once:
                failed[factory] = "a second pass changes the document"
        except Exception as error:
            failed[factory] = f"{type(error).__name__}: {error}"
    doc = nlp(text)
    nlp.to_disk(f"model_{lang}")
    loaded = spacy.load(f"model_{lang}")
    out[lang] = {
        "failed": failed,
        "pipes": [nlp.pipe_names, loaded.pipe_names],
        "groups": sorted(name for name in doc.spans if len(doc.spans[name])),
        "same": seen(loaded(text)) == seen(doc),
    }
print(json.dumps(out))
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the process says of each language."""
    folder = tmp_path_factory.mktemp("spacy")
    (folder / "MRCONSO.RRF").write_text(UMLS, encoding="utf-8")
    configs = {**CONFIGS, "edspipe_umls": {"path": str(folder / "MRCONSO.RRF")}}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE],
        input=json.dumps({"texts": TEXTS, "factories": FACTORIES, "configs": configs}),
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=100,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("lang", TEXTS)
def test_every_factory_can_be_added_and_run_twice(results, lang):
    assert results[lang]["failed"] == {}


@pytest.mark.parametrize("lang", TEXTS)
def test_a_saved_pipeline_loads_with_all_its_pipes(results, lang):
    before, after = results[lang]["pipes"]
    assert before == after == FACTORIES


@pytest.mark.parametrize("lang", TEXTS)
def test_a_loaded_pipeline_gives_the_same(results, lang):
    assert results[lang]["same"] is True


@pytest.mark.parametrize("lang", TEXTS)
def test_the_pipes_find_what_stands_there(results, lang):
    expected = {"found", "terms", "stages", "scores", "tnm", "adicap", "covid", "drugs", "umls"}
    expected |= {"dates", "quantities", "sections", "tables", "diabetes", "reasons"}
    assert expected <= set(results[lang]["groups"])
