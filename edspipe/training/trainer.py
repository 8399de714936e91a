"""edspipe.train: a training from documents to a scored pipeline, in one call.

    read documents -> labels, or weights of before -> optimizer, batches, callbacks -> loop
                   -> model-last, model-best -> scores on validation and test data

The hand-written loop of `train.py` does the same in one screen, without what is around it here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from loguru import logger

from edspipe.errors import ConfigError, TrainingError, did_you_mean
from edspipe.metrics.tokens import TokenAccuracyMetric
from edspipe.pipeline.pipeline import Pipeline
from edspipe.pipeline.precision import autocast, resolve_precision
from edspipe.training.batches import Batches, BatchMaker, Part, TaskBatch, describe_batches
from edspipe.training.callbacks.defaults import in_order
from edspipe.training.checkpoint import find_checkpoint, read_plain
from edspipe.training.corpus import Corpora, Corpus, holds_all, read_corpus, warn_of_unknown_labels
from edspipe.training.data import TrainingData, read_all
from edspipe.training.evaluation import Metric, doc_label_places, read_metrics
from edspipe.training.finishing import Finished, finish
from edspipe.training.gradients import read_spikes
from edspipe.training.loggers.reading import read_loggers
from edspipe.training.phases import remove_phases, train_in_phases
from edspipe.training.processes import Processes, find_processes
from edspipe.training.randomness import set_seed
from edspipe.training.records import Logger, Records, RunInfo
from edspipe.training.run import Plan, Run
from edspipe.training.run_files import (
    RunFiles,
    bring_along,
    check_room,
    make_room,
    plain,
    versions,
)
from edspipe.training.settings import Settings
from edspipe.training.starting import (
    check_same_data,
    facts_of,
    finish_pipes,
    saved_pipeline,
    start_from,
    warn_of_other_settings,
)
from edspipe.training.step import StepComputer


def train(
    nlp: Pipeline,
    train_data: Any,
    val_data: Any = None,
    *,
    output_dir: str | Path,
    test_data: Any = None,
    config: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Finished:
    """Train the trainable pipes of a pipeline, score it, and save it.

    ```python
    edspipe.train(nlp, docs, val_docs, output_dir="artifacts/run", max_steps=500, lr=1e-3)
    ```

    Args:
        nlp: The pipeline; afterwards it has the weights of the last step.
        train_data: A stream or a list of Docs with gold annotations, a `TrainingData`, or a list of
            these: a step takes one batch of each.
        val_data: Documents for the scores that choose the best model.
        output_dir: The folder of the run, see `edspipe.training.run_files`.
        test_data: Documents that the chosen model is scored on once, at the end.
        config: The config that all this came from, to be kept in the folder.
        **settings: As of `Settings`: `max_steps` or `max_epochs`, `optimizer` or `lr`, `seed`, ...

    Returns:
        The scores, and which model they are of.

    Raises:
        ConfigError: A setting is wrong, or a callback waits for a record that nobody writes.
        DataError: There are no documents.
        TrainingError: The loss is not finite; the message names the documents of the batch.
        CheckpointError: What is resumed is damaged, or was another training.
    """
    chosen = Settings.of({"output_dir": output_dir, **settings})
    if not chosen.phases:
        return Trainer(nlp, train_data, val_data, test_data, chosen, config).train()

    if chosen.resume is not None:
        raise ConfigError("resume: phases go on by themselves where they were; make the same call")
    if chosen.init_from is not None:
        start_from(nlp, saved_pipeline(chosen.init_from))

    def train_one(data: list[TrainingData], folder: Path, resume: Path | None) -> Finished:
        own = replace(chosen, output_dir=folder, resume=resume, phases=False, init_from=None)
        own = replace(own, overwrite=resume is None)
        return Trainer(nlp, data, val_data, test_data, own, config).train()

    if chosen.overwrite:
        remove_phases(chosen.output_dir)
    return train_in_phases(nlp, read_all(train_data, "train_data"), chosen.output_dir, train_one)


class Trainer:
    """What a training is made of, until it runs.

    Args:
        nlp: The pipeline.
        train_data: As of `train`.
        val_data: As of `train`.
        test_data: As of `train`.
        settings: The settings.
        config: The config that all this came from.
    """

    def __init__(
        self,
        nlp: Pipeline,
        train_data: Any,
        val_data: Any,
        test_data: Any,
        settings: Settings,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        if not any(True for _ in nlp.torch_components()):
            raise ConfigError("the pipeline has no trainable pipe that is switched on: add one")
        self.nlp, self.settings, self.config = nlp, settings, config
        self.training_data = [
            data if data.batch_size is not None else replace(data, batch_size=settings.batch_size)
            for data in read_all(train_data, "train_data")
        ]
        self._check_pipe_names()
        self.metrics: dict[str, Metric] = read_metrics(settings.metrics, nlp)
        self._given = {"val": val_data, "test": test_data}
        self._loggers: list[Logger] | None = None

    def train(self) -> Finished:
        """Do everything."""
        settings = self.settings
        processes = find_processes(settings.device)
        try:
            set_seed(settings.seed)
            checkpoint = self._find_room()
            self._check_loggers(processes)
            run, corpora = self.prepare(processes, checkpoint)
            self._make_room(processes, checkpoint)
            files = RunFiles(settings.output_dir)
            if processes.is_main:
                config = self._config()
                files.start(config, self._facts(corpora, processes), corpora.digests())
            info = RunInfo(str(settings.output_dir), plain(self._config()), run.first_step)
            return self._run(run, files, corpora, info)
        finally:
            processes.close()

    def prepare(self, processes: Processes, checkpoint: Path | None = None) -> tuple[Run, Corpora]:
        """Read the data, finish the pipes, and put the run together.

        Args:
            processes: Who trains.
            checkpoint: Where to go on from.
        """
        corpora = self._read(checkpoint)
        self._start(corpora, checkpoint)
        self.nlp.to(processes.device)
        processes.take_from_main(self.nlp.iter_tensors())  # fresh weights are drawn in each
        run = self._assemble(corpora, processes)
        if checkpoint is not None:
            self._resume(run, checkpoint)
        return run, corpora

    def _find_room(self) -> Path | None:
        """Look whether the folder is free; return the checkpoint to go on from, if there is one."""
        settings, folder = self.settings, self.settings.output_dir
        checkpoint = None if settings.resume is None else find_checkpoint(settings.resume)
        if checkpoint is None or not _is_of(checkpoint, folder):
            check_room(folder, settings.overwrite)
        return checkpoint

    def _check_loggers(self, processes: Processes) -> None:
        """Let loggers say what is wrong with where they write to, before anything is read."""
        info = RunInfo(str(self.settings.output_dir), plain(self._config()))
        Records(self._read_loggers(processes)).check(info)

    def _read_loggers(self, processes: Processes) -> list[Logger]:
        if self._loggers is None:
            self._loggers = read_loggers(self.settings.loggers) if processes.is_main else []
        return self._loggers

    def _make_room(self, processes: Processes, checkpoint: Path | None) -> None:
        """Get the folder ready, once nothing can be wrong with the settings and the data, and the
        weights to start from, which may lie in it, were read."""
        folder = self.settings.output_dir
        if processes.is_main and (checkpoint is None or not _is_of(checkpoint, folder)):
            make_room(folder, self.settings.overwrite)
            if checkpoint is not None:
                bring_along(checkpoint.parent.parent, folder)
        processes.wait()

    # ---- before the first step -------------------------------------------------------------

    def _check_pipe_names(self) -> None:
        known = [name for name, _ in self.nlp.torch_components()]
        for data in self.training_data:
            for name in data.pipe_names or ():
                if name not in known:
                    raise ConfigError(
                        f"train_data: pipe_names has '{name}', which is no trainable pipe that is "
                        f"switched on.{did_you_mean(name, known)} They are: {', '.join(known)}"
                    )

    def _read(self, checkpoint: Path | None) -> Corpora:
        """Read all documents; those of training must be the ones that a run began with."""
        getters = {
            name: metric.span_getter
            for name, metric in self.metrics.items()
            if hasattr(metric, "span_getter")
        }
        tags = {x.attribute for x in self.metrics.values() if isinstance(x, TokenAccuracyMetric)}
        places = doc_label_places(self.nlp, self.metrics)
        read = partial(read_corpus, getters=getters, attributes=tags, doc_attributes=places)
        train = [read(data, role="train") for data in self.training_data]
        if checkpoint is not None:
            check_same_data(read_plain(checkpoint)["data"], train, checkpoint)
        others = {
            role: read(_read_one(data, f"{role}_data"), role=role)
            for role, data in self._given.items()
            if data is not None
        }
        known = {label for corpus in train for label in corpus.profile["labels"]}
        for role, corpus in others.items():
            warn_of_unknown_labels(corpus.profile, known, role)
        return Corpora(train, others)

    def _start(self, corpora: Corpora, checkpoint: Path | None) -> None:
        """Finish the pipes: labels from the data, or all tables and weights from a checkpoint."""
        if checkpoint is not None:
            self.nlp.from_disk(checkpoint)
            return
        if self.settings.init_from is not None:
            start_from(self.nlp, saved_pipeline(self.settings.init_from))
        finish_pipes(self.nlp, self.training_data, corpora.train)

    # ---- the parts of the run --------------------------------------------------------------

    def _assemble(self, corpora: Corpora, processes: Processes) -> Run:
        """Put the run together."""
        settings, nlp = self.settings, self.nlp
        if processes.rank:
            set_seed((settings.seed + processes.rank) % 2**32)  # another dropout in each process
        context = partial(autocast, settings.precision, processes.device)
        scaler = torch.amp.GradScaler(processes.device.type, enabled=self._needs_scaler(processes))
        makers = [
            BatchMaker(nlp, data, processes.rank, processes.world_size, processes.device)
            for data in self.training_data
        ]
        nlp.train(True)
        run = Run(
            nlp,
            Batches([self._stream(i, makers[i], corpora.train[i]) for i in range(len(makers))]),
            settings.make_optimizer().build(nlp.named_parameters()),
            StepComputer(
                nlp, context, scale=scaler.scale, split=partial(_halve, makers, corpora.train)
            ),
            Plan(settings.max_steps, settings.max_epochs, corpora.train[0].profile["num_docs"]),
            Records(self._read_loggers(processes)),
            [],
            processes,
            output_dir=settings.output_dir,
            autocast=context,
            grad_max_norm=settings.grad_max_norm,
            spikes=read_spikes(settings.grad_spikes),
            scaler=scaler,
            log_every=settings.log_every,
        )
        run.facts["data"] = [corpus.profile for corpus in corpora.train]
        run.facts["settings"] = facts_of(settings, self.training_data)
        run.callbacks = in_order(
            settings,
            self.metrics,
            corpora.val_docs,
            processes.is_main,
            dict(nlp.torch_components()),
        )
        _check_monitored(run)
        return run

    def _needs_scaler(self, processes: Processes) -> bool:
        return resolve_precision(self.settings.precision, processes.device) == torch.float16

    def _stream(self, number: int, maker: BatchMaker, corpus: Corpus) -> Any:
        settings = self.settings
        return describe_batches(
            maker,
            self.training_data[number],
            corpus.source,
            seed=(settings.seed + number) % 2**32,
            num_workers=settings.num_preprocessing_workers,
            across_epochs=settings.max_epochs is None
            and not holds_all(self.training_data[number], corpus),
        )

    # ---- going on --------------------------------------------------------------------------

    def _resume(self, run: Run, checkpoint: Path) -> None:
        """Take back where a run stood, and say what becomes of its schedules."""
        saved = run.load_checkpoint(checkpoint)
        before, now = saved["plan"], run.plan.to_dict()
        warn_of_other_settings(saved.get("settings", {}), run.facts["settings"])
        logger.info("going on from {} after step {}", checkpoint, run.step)
        if before == now:
            return
        if self.settings.schedules_on_resume == "keep":
            run.schedule_plan = Plan(**before)
            said = "schedules keep their plan, and their last value after it"
        else:
            said = (
                "schedules stretch to the new end; schedules_on_resume='keep' would keep their plan"
            )
        logger.info("planned were {}, now {}: {}", _say(before), _say(now), said)

    # ---- the run ---------------------------------------------------------------------------

    def _run(self, run: Run, files: RunFiles, corpora: Corpora, info: RunInfo) -> Finished:
        """Take the steps, and finish; whatever happens, the loggers are told how it ended."""
        status = "failed"
        try:
            run.records.start(info)
            run.loop()
            finished = finish(
                run, files, self.metrics, corpora.others, self.settings.ci, self.settings.progress
            )
            status = "interrupted" if run.interrupted else "finished"
            return finished
        except Exception as error:
            status = getattr(error, "run_status", status)  # a callback may say what it is
            raise
        finally:
            if run.processes.is_main:
                files.add(status=status, stopped_by=run.stopped_by, last_step=run.step)
                run.records.close(status)
            if status != "failed":
                for callback in run.callbacks:
                    callback.on_finish(run)

    def _config(self) -> Mapping[str, Any]:
        if self.config is not None:
            return self.config
        given = {field.name: getattr(self.settings, field.name) for field in fields(self.settings)}
        return {**self.nlp.config, "train": given}

    def _facts(self, corpora: Corpora, processes: Processes) -> dict[str, Any]:
        train = corpora.train[0].profile if len(corpora.train) == 1 else None
        parts = {f"train.{i}": corpus.profile for i, corpus in enumerate(corpora.train)}
        return {
            "seed": self.settings.seed,
            "versions": versions(),
            "device": str(processes.device),
            "precision": self.settings.precision,
            "num_processes": processes.world_size,
            "pipes": {name: type(pipe).__name__ for name, pipe in self.nlp.torch_components()},
            "data": {
                **({"train": train} if train is not None else parts),
                **{role: corpus.profile for role, corpus in corpora.others.items()},
            },
        }


def _is_of(checkpoint: Path, folder: Path) -> bool:
    """Whether a checkpoint is one of the run in a folder."""
    return checkpoint.parent.parent.resolve() == folder.resolve()


def _read_one(value: Any, path: str) -> TrainingData:
    """Read documents to score: one set, kept in memory."""
    found = read_all(value, path)
    if len(found) > 1:
        raise ConfigError(
            f"{path}: expected documents or one stream, got a list of {len(found)}; join them"
        )
    return replace(found[0], in_memory=True)


def _halve(
    makers: Sequence[BatchMaker],
    corpora: Sequence[Corpus],
    number: int,
    task: TaskBatch,
    part: Part,
) -> list[Part]:
    """Make two parts of one, from the documents."""
    maker, docs = makers[number], corpora[number].docs
    if not docs:
        raise TrainingError(
            "out of memory, and the documents are not kept to compute the batch in parts: use a "
            "smaller sub_batch_size, or in_memory=True"
        )
    middle = len(part.positions) // 2
    return [
        maker.part([maker.sample(docs[task.source_indices[i]]) for i in positions], positions)
        for positions in (part.positions[:middle], part.positions[middle:])
    ]


def _check_monitored(run: Run) -> None:
    """Refuse to start where something waits for a record that nobody writes."""
    names = run.recorded()
    waiting = {f"callback {type(one).__name__}": one.monitored() for one in run.callbacks}
    waiting["the plateau schedule"] = run.optimizer.monitored
    for who, monitored in waiting.items():
        for name in monitored:
            if name not in names:
                raise ConfigError(
                    f"{who} monitors '{name}', which is not recorded."
                    f"{did_you_mean(name, names)} What is: {', '.join(names)}"
                )


def _say(plan: Mapping[str, Any]) -> str:
    if plan["max_steps"] is not None:
        return f"{plan['max_steps']} steps"
    return f"{plan['max_epochs']} epochs"
