"""A fine-tuning from the labels to the tuned model; read :func:`finetune` from top to bottom."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..encoders.checkpoint import LoadedModel, load_checkpoint
from ..encoders.runner import choose_device
from ..progress import RunControl, Say
from ..refine.weights import ScoreWeights
from ..training.checkpoints import write_model
from ..training.pictures import preview
from .calibration import weights_of
from .card import TunedModel, compose_tuned_card, tuned_metadata
from .course import Course
from .episodes import SceneEpisodes
from .hold_out import Division
from .material import Material
from .measure import Measure
from .news import Report
from .options import FinetuneOptions, FinetuningError
from .preparation import prepare
from .reading import read_material
from .result import FinetuneResult
from .run_folder import RunFolder
from .summary import Summary, summarize
from .threads import limited_threads
from .trainer import EpisodeTrainer, base_name, load_base
from .verdict import compare


def finetune(
    options: FinetuneOptions,
    folder: str | Path,
    resume: bool = False,
    control: RunControl | None = None,
    report: Report | None = None,
    say: Say | None = None,
) -> FinetuneResult:
    """Fine-tune a model.

    Args:
        options: What to do; of a run that is resumed, as :func:`resumed_options` gives them.
        folder: Where the run keeps everything.
        resume: Go on with the run that is there.
        control: Lets another thread stop the run, or let it wait.
        report: Called about once a second, and when something has changed.
        say: Told what the user should know.

    Raises:
        ProtolabelError: When labels, model or machine cannot serve, or something cannot be written; the last checkpoint
            and the best model so far are then kept.
        Cancelled: When it was stopped; it can be resumed from its last checkpoint.
    """
    control, say = control or RunControl(), say or (lambda text: None)
    run = RunFolder(Path(folder))
    device, base = choose_device(options.device), load_base(options.base)
    course = Course(options, control, report or (lambda state: None))
    with run.alone(), limited_threads(options.threads) as threads:
        if not resume:
            run.require_free()
        course.report("reading")
        material = read_material(options, control)
        course.classes = material.classes
        prepared = prepare(material, options)
        summary = summarize(material, prepared.division)
        for text in (*summary.warnings, summary.hold_out):
            say(text)
        measure = Measure(prepared.held, len(material.classes), device, control, threads)
        trainer = EpisodeTrainer(base, options, device)
        labels = _fingerprint(material, prepared.division)
        if not resume:
            run.claim(replace(options, base=base_name(options.base)))
        kept = run.restore() if resume else None
        if kept is not None:
            if kept["labels"] != labels:
                raise FinetuningError(
                    f"The labels are not those that the run in {run.folder} began with; start another run."
                )
            trainer.load_state_dict(kept["trainer"])
            course.load_state_dict(kept["course"])
        run.forget_after(course.iteration if kept is not None else -1)
        task = _Task(
            run,
            material,
            summary,
            base,
            options,
            course,
            trainer,
            prepared.episodes,
            measure,
            control,
            labels,
        )
        if course.base is None:
            task.measure()
        trainer.choose_precision(options.crop, control)
        stopped = task.train()
        return task.finish(stopped)


def resumed_options(folder: str | Path) -> FinetuneOptions:
    """The options of the run in a folder.

    Raises:
        FinetuningError: When there is none.
    """
    return RunFolder(Path(folder)).options()


@dataclass(frozen=True)
class _Task:
    """A run in work, with everything that its steps need."""

    run: RunFolder
    material: Material
    summary: Summary
    base: LoadedModel
    options: FinetuneOptions
    course: Course
    trainer: EpisodeTrainer
    episodes: SceneEpisodes
    meter: Measure
    control: RunControl
    labels: str

    def train(self) -> Literal["time", "iterations", "early"]:
        """Train and measure until the end, whose last weights are measured."""
        course = self.course
        while (stopped := course.ended) is None:
            if self.control.paused:
                self.save()
                course.report("paused")
                self.control.wait()
                course.report("training")
            with course.clock():
                self.iterate()
                if course.measure_due() and course.ended is None:
                    self.measure()
                elif course.save_due():
                    self.save()
        if not course.measured:
            with course.clock():
                self.measure()
        return stopped

    def iterate(self) -> None:
        """Train on one episode."""
        course = self.course
        started = time.monotonic()
        episode = self.episodes[course.iteration]
        losses = self.trainer.step(episode, course.fraction, self.control)
        course.trained(losses, time.monotonic() - started)
        self.run.note(
            {
                "iteration": course.iteration,
                "seconds": round(course.seconds, 2),
                "losses": losses.to_json(),
            }
        )
        if course.picture_due():
            self.run.draw(preview(episode, self.trainer.segment(episode)))
        course.report("training", force=False)

    def measure(self) -> None:
        """Measure the present weights, and keep them where they are the best; then keep a checkpoint."""
        course = self.course
        course.report("measuring")
        started, waited = time.monotonic(), self.control.waited
        score = self.meter.score(self.trainer.encoder)
        best = course.took(score, time.monotonic() - started - (self.control.waited - waited))
        if best:
            write_model(self.trainer.encoder, self.run.best, tuned_metadata(self.described(None)))
        self.run.note(
            {
                "iteration": course.iteration,
                "seconds": round(course.seconds, 2),
                "score": score.to_json(course.iteration, self.material.classes),
            }
        )
        self.save()
        course.report("training")

    def save(self) -> None:
        """Keep what the run is resumed from."""
        self.run.save(
            {
                "labels": self.labels,
                "trainer": self.trainer.state_dict(),
                "course": self.course.state_dict(),
            }
        )

    def finish(self, stopped: Literal["time", "iterations", "early"]) -> FinetuneResult:
        """Calibrate the best model, write its card, and tell whether it is better."""
        run, course = self.run, self.course
        best = load_checkpoint(run.best).encoder
        weights = weights_of(self.base.metadata, lambda: self.meter.sample(best, self.options.seed))
        tuned = self.described(weights)
        write_model(best, run.best, tuned_metadata(tuned))
        card = compose_tuned_card(run.folder.name, tuned)
        run.write_card(card)
        result = FinetuneResult(
            run.folder,
            run.best,
            tuned.comparison.verdict,
            tuned.comparison.sentence,
            tuned.before,
            tuned.after,
            self.material.classes,
            course.iteration,
            course.seconds,
            stopped,
            self.summary.hold_out,
            card,
        )
        run.finish(result.to_json())
        return result

    def described(self, weights: ScoreWeights | None) -> TunedModel:
        """The best model so far with all that there is to say about it."""
        course = self.course
        assert course.base is not None and course.best is not None  # nosec B101 # for the type checker
        return TunedModel(
            self.base,
            self.options,
            self.summary,
            course.base,
            course.best,
            compare(course.base.score, course.best.score),
            self.material.classes,
            course.seconds,
            weights,
        )


def _fingerprint(material: Material, division: Division) -> str:
    """Changes when labels, classes or what is held out do."""
    tally = material.tally
    digest = hashlib.sha256(repr([(info.id, info.name) for info in material.classes]).encode())
    for values in (tally.raster, tally.unit, tally.label, tally.pixels, division.units):
        digest.update(values.tobytes())
    return digest.hexdigest()
