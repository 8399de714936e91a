"""What describes a run, so that it is not resumed as another one: plain data, no text."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from edspipe.stream.source import FragmentSource, MixSource


def describe_run(stream: Any, sink: Any, stage: str, id_key: str | None) -> dict[str, Any]:
    """Return the source, the ops and the seed of a stream, and the settings of a sink.

    How the stream is run (workers, batches of a model) is left out: it does not show in the output.
    """
    return {
        "writer": stage,
        "id_key": id_key,
        "sink": {"type": type(sink).__name__, **_plain_settings(sink)},
        "stream": _describe_stream(stream),
    }


def _describe_stream(stream: Any) -> dict[str, Any]:
    return {
        "source": _describe_source(stream.source),
        "ops": [f"{type(op).__name__} {op.stage}" for op in stream.ops],
        "seed": stream.settings.seed,
        "looping": stream.looping,
    }


def _describe_source(source: Any) -> dict[str, Any]:
    described: dict[str, Any] = {"type": type(source).__name__}
    if isinstance(source, FragmentSource):
        names = "\0".join(fragment.name for fragment in source.fragments)
        sha256 = hashlib.sha256(names.encode("utf-8", "surrogatepass")).hexdigest()
        return {**described, "files": len(source.fragments), "sha256_of_names": sha256}
    if isinstance(source, MixSource):
        return {**described, "streams": [_describe_stream(one) for one in source.streams]}
    return {**described, "items": source.num_items()}


def _plain_settings(sink: Any) -> dict[str, Any]:
    public = {k: v for k, v in vars(sink).items() if not k.startswith("_") and k != "counts"}
    return {name: value for name, value in public.items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
