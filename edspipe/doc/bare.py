"""A Doc without its annotations: the same words, to predict on."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from spacy.attrs import ORTH, SPACY
from spacy.tokens import Doc


def bare_copy(doc: Doc, without: Collection[str] = ()) -> Doc:
    """Return a Doc of the same words and attributes (`doc._.note_id`, ...) and nothing else.

    It has no entities, span groups, categories, sentences, or attributes of words and spans, so
    that what a pipeline finds in it cannot come from gold annotations.

    Args:
        doc: The Doc.
        without: Names of attributes that are left out too, e.g. `"labels"` for `doc._.labels`.
    """
    layout = doc.to_array([ORTH, SPACY])
    words = [doc.vocab.strings[int(orth)] for orth in layout[:, 0]] if len(doc) else []
    own = {
        key: value
        for key, value in doc.user_data.items()
        if isinstance(key, tuple)
        and key[0] == "._."
        and key[2:] == (None, None)
        and key[1] not in without
    }
    spaces = np.asarray(layout[:, 1] != 0).tolist() if len(doc) else []
    return Doc(doc.vocab, words=words, spaces=spaces, user_data=own)
