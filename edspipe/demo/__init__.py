"""Synthetic notes to try things on: a corpus to train and score with, and a small encoder.

`write_demo` makes all that the quickstart needs, offline and in seconds. No word of it comes from
a patient.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from edspipe.atomic import write_json
from edspipe.demo.corpus import CorpusSummary, write_corpus
from edspipe.demo.encoder import write_encoder
from edspipe.errors import DataError
from edspipe.version import __version__

__all__ = ["SAMPLE_NOTE", "CorpusSummary", "write_corpus", "write_demo", "write_encoder"]

SAMPLE_NOTE: dict[str, str] = {
    "en": """\
Aldwick Infirmary, Cardiology
Admitted: 14 June 2018
Mrs Pellworth, 67 y/o F

Reason for admission: 67-year-old woman admitted for exertional dyspnea and
ankle swelling since last week. No chest pain, no fever.

PMH:
- Type 2 diabetes treated with metformin
- Atrial fibrillation, diagnosed March 2012
- Appendectomy

Investigations: Chest X-ray showed pleural effusion. BP 150/85 mmHg.

Plan: Start furosemide 40 mg once daily. Referred to the heart failure nurse.
""",
    "fr": """\
CHU de Valbrune
Service de Pneumologie
Date d'entrée : 14/06/2018
M. Vasselin, 67 ans

Motif : Patient de 67 ans hospitalisé pour toux grasse et fièvre depuis 5 jours.
Pas de douleur thoracique, pas d'hémoptysie.

ATCD :
- HTA sous ramipril
- BPCO suivie depuis mars 2012
- Appendicectomie

Examens : Scanner thoracique montrant une pneumopathie basale droite.
TA 150/85 mmHg.

Conclusion : Amoxicilline 1 g x3/j pendant 7 jours. Connu par l'école de l'asthme.
""",
}
"""One new note a language, to show predictions on."""

_STAMP = "demo.json"
_PARTS = ("train", "dev", "encoder")


def write_demo(out: Path, *, seed: int = 7) -> CorpusSummary:
    """Write `out/train`, `out/dev` and `out/encoder`, or keep them where they are written already.

    The stamp `out/demo.json` is written last. With it stand the version, the seed and a checksum:
    a folder that fits all three is left as it is.

    Args:
        out: The folder: absent, empty, or written by this function before.
        seed: The same seed gives the same files, byte for byte.

    Raises:
        DataError: The folder holds something else, an unfinished demo, one of another version or
            seed, or one that was changed since.
    """
    out = Path(out)
    made_from = {"version": __version__, "seed": seed}
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        return _keep(out, made_from)
    summary = write_corpus(out, seed=seed)
    notes = sorted((out / "train").glob("*.txt"))
    write_encoder(out / "encoder", (note.read_text(encoding="utf-8") for note in notes), seed=seed)
    stamp = {**made_from, "sha256": _checksum(out), "summary": summary.to_dict()}
    write_json(out / _STAMP, stamp)
    return summary


def _keep(out: Path, made_from: dict[str, object]) -> CorpusSummary:
    """Return the summary of a folder that was written before, or say why it cannot be kept."""
    cure = "Nothing was written. Choose another folder, or delete this one."
    try:
        stamp = json.loads((out / _STAMP).read_text(encoding="utf-8"))
        found = {name: stamp[name] for name in made_from}
        checksum, summary = stamp["sha256"], CorpusSummary(**stamp["summary"])
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(
            f"Expected an absent or empty folder, or a finished demo with its {_STAMP}; "
            f"came something else. {cure}",
            file=out,
        ) from None
    if found != made_from:
        raise DataError(
            f"Expected a demo of {_spell(made_from)}, came one of {_spell(found)}. {cure}", file=out
        )
    if checksum != _checksum(out):
        raise DataError(f"The demo was changed since it was written. {cure}", file=out)
    return summary


def _spell(made_from: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in made_from.items())


def _checksum(out: Path) -> str:
    """Return one checksum over the names and the bytes of all files of the demo's folders."""
    total = hashlib.sha256()
    for part in _PARTS:
        for file in sorted((out / part).rglob("*")):
            if file.is_file():
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                total.update(f"{file.relative_to(out).as_posix()}\0{content}\n".encode())
    return total.hexdigest()
