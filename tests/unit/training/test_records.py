"""Records: one bus for every number."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from edspipe.training.records import Record, Records, RunInfo


class Listener:
    """A logger that keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def start(self, info: RunInfo) -> None:
        self.heard.append(info)

    def write(self, records: Sequence[Record]) -> None:
        self.heard.append([(record.key, record.value, record.step) for record in records])

    def close(self, status: str) -> None:
        self.heard.append(status)


def test_loggers_hear_everything_in_order() -> None:
    one, other = Listener(), Listener()
    records = Records([one, other])
    info = RunInfo("run", {"seed": 1})
    records.start(info)
    records.log("loss", 1, step=1)
    records.log("micro_f", 0.5, step=1, split="val")
    records.flush()
    records.flush()  # nothing came since
    records.log("loss", 2, step=2)
    records.close("finished")
    expected = [
        info,
        [("train/loss", 1.0, 1), ("val/micro_f", 0.5, 1)],
        [("train/loss", 2.0, 2)],
        "finished",
    ]
    assert one.heard == other.heard == expected


def test_the_latest_of_a_name_is_known() -> None:
    records = Records()
    assert records.latest("train/loss") is None
    for step in (1, 2):
        records.log("loss", step / 2, step=step)
    assert records.latest("train/loss") == Record("loss", 1.0, 2)
    assert records.names() == ["train/loss"]


def test_the_latest_come_back_from_a_checkpoint() -> None:
    records, later = Records(), Records()
    records.log("loss/ner/a", 0.25, step=3)
    records.log("micro_f", 0.5, step=2, split="val")
    later.log("old", 1.0, step=9)
    later.load_state_dict(json.loads(json.dumps(records.state_dict())))
    assert later.names() == ["train/loss/ner/a", "val/micro_f"]
    assert later.latest("train/loss/ner/a") == Record("loss/ner/a", 0.25, 3, "train")
    assert later.latest("val/micro_f") == Record("micro_f", 0.5, 2, "val")
