"""Predictions for programs: each is a session of its own, with the queues and limits of pages."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import traceback
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from core.errors import CSpineError, TaskError
from dashboard.api.networks import Networks, read_result
from dashboard.api.resources import (
    UPLOAD_STAGES,
    PredictionJob,
    PredictionResult,
    Stage,
    State,
)
from dashboard.background.job import Job
from dashboard.session.program import acting_for
from dashboard.session.session_end import end_session
from dashboard.session.settings import api_settings, settings
from dashboard.studies.held_uploads import hold_uploads
from dashboard.studies.localizer import start_boxes, stop_boxes
from dashboard.studies.open_study import open_study
from dashboard.studies.predictions import start_prediction, stop_prediction, stored_predictions
from dashboard.studies.raw_boxes import find_raw
from dashboard.studies.upload_jobs import UploadJob, start_upload

_log = logging.getLogger(__name__)

KEPT: Final = 64
"""Finished jobs kept at the same time; the oldest goes first."""

Result = TypeVar("Result")


@dataclass(slots=True, eq=False)
class ApiJob:
    """One prediction for a program.

    Attributes:
        networks: The networks that were asked for.
        id: Name of the job and of its session; cannot be guessed.
        stage: Step that is being done.
        state: Whether it runs, or how it ended.
        upload: Work of the first two steps of an archive.
        step: Work that is waited for; None between two steps.
        stop: Gives up that work.
        problem: Why the job has failed.
        result: What the networks found; None before that.
        ended: `time.monotonic()` at the end; None before.
        life: Does the work, and removes the job at its end.
    """

    networks: Networks
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    stage: Stage = "unpacking"
    state: State = "running"
    upload: UploadJob | None = None
    step: Job[Any] | None = None
    stop: Callable[[], object] | None = None
    problem: str | None = None
    result: PredictionResult | None = None
    ended: float | None = None
    life: asyncio.Task[None] | None = None

    def resource(self) -> PredictionJob:
        """The job as JSON shows it."""
        step, stage = self.step, self.stage
        if self.upload is not None and stage in UPLOAD_STAGES:
            stage = UPLOAD_STAGES[self.upload.stage]
        return PredictionJob(
            id=self.id,
            state=self.state,
            stage=stage,
            ahead=0 if step is None else step.place,
            done=0 if step is None else step.done,
            total=0 if step is None else step.total,
            seconds_left=None if step is None else step.seconds_left,
            error=self.problem,
        )


class ApiJobs:
    """The jobs of one server process; used by its event loop only."""

    def __init__(self) -> None:
        self._jobs: dict[str, ApiJob] = {}

    def find(self, name: str) -> ApiJob | None:
        """The job of a name."""
        return self._jobs.get(name)

    def add(self, networks: Networks) -> ApiJob:
        """Take a place for a job; whoever takes it starts or removes the job.

        Raises:
            TaskError: All places are taken.
        """
        running = [job for job in self._jobs.values() if job.ended is None]
        limit = api_settings().api_max_jobs
        if len(running) >= limit:
            raise TaskError(
                f"{len(running)} predictions are unfinished already (API_MAX_JOBS); ask again when "
                "one has ended."
            )
        ended = [job for job in self._jobs.values() if job.ended is not None]
        for job in sorted(ended, key=lambda one: one.ended or 0)[: max(len(ended) + 1 - KEPT, 0)]:
            if job.life is not None:
                job.life.cancel()
        job = ApiJob(networks)
        self._jobs[job.id] = job
        return job

    def start(
        self, job: ApiJob, *, archive: Path | None = None, folder: Path | None = None
    ) -> None:
        """Begin the work on an archive of the job's session, or on a series of the data set."""
        job.stage = "reading" if archive is None else "unpacking"
        job.life = asyncio.create_task(self._live(job, archive, folder))

    async def remove(self, job: ApiJob) -> None:
        """End a job, and delete what belongs to it."""
        if job.life is None:
            await self._release(job)
            return
        job.life.cancel()
        await asyncio.wait([job.life])

    async def _live(self, job: ApiJob, archive: Path | None, folder: Path | None) -> None:
        try:
            with acting_for(job.id):
                await _finish(job, archive, folder)
            await asyncio.sleep(api_settings().api_keep_minutes * 60)
        finally:
            await self._release(job)

    async def _release(self, job: ApiJob) -> None:
        self._jobs.pop(job.id, None)
        with acting_for(job.id):
            if job.stop is not None:
                await asyncio.to_thread(job.stop)
        await asyncio.to_thread(end_session, job.id)


async def _finish(job: ApiJob, archive: Path | None, folder: Path | None) -> None:
    """Do the work of a job and note how it ended."""
    try:
        job.result = await _predict(job, archive, folder)
        job.state, job.stage = "finished", "done"
    except (CSpineError, OSError) as error:
        known = isinstance(error, CSpineError)
        job.problem = (
            str(error) if known else f"A file cannot be read or written ({error.strerror})."
        )
        job.state = "failed"
    except Exception as error:  # noqa: BLE001 - whatever it is, the job has to end
        # Without its text, which may hold a patient's.
        frames = "".join(traceback.format_tb(error.__traceback__))
        _log.error("A prediction failed (%s):\n%s", type(error).__name__, frames)
        job.problem = (
            f"The work stopped unexpectedly ({type(error).__name__}); see the server's log."
        )
        job.state = "failed"
    job.step = job.stop = None
    job.ended = time.monotonic()


async def _predict(job: ApiJob, archive: Path | None, folder: Path | None) -> PredictionResult:
    owner = None
    if archive is not None:
        owner = job.id
        hold_uploads(owner)
        job.upload = start_upload(
            owner, [archive], archive=True, session=owner, settings=settings()
        )
        folder = await _done(job, job.upload.job)
    assert folder is not None
    job.stage = "reading"
    study = await asyncio.to_thread(open_study, folder, owner=owner)
    job.stage = "predicting"
    pair, localizer = job.networks
    if await asyncio.to_thread(stored_predictions, study, pair) is None:
        prediction = await asyncio.to_thread(start_prediction, study, pair)
        await _done(job, prediction, partial(stop_prediction, study, pair))
    job.stage = "boxes"
    if localizer is not None and await asyncio.to_thread(find_raw, study, localizer) is None:
        boxes = await asyncio.to_thread(start_boxes, study, localizer)
        await _done(job, boxes, partial(stop_boxes, study, localizer))
    return await asyncio.to_thread(read_result, study, job.networks)


async def _done(job: ApiJob, step: Job[Result], stop: Callable[[], object] | None = None) -> Result:
    """Wait for a step that other sessions may wait for too.

    Raises:
        CSpineError, OSError: As the work raises it, or the step was given up.
    """
    job.step, job.stop = step, stop
    loop, over = asyncio.get_running_loop(), asyncio.Event()

    def wake(_: object) -> None:
        # The server may have stopped meanwhile.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(over.set)

    step.future.add_done_callback(wake)
    await over.wait()
    job.step = job.stop = None
    if step.future.cancelled():
        raise TaskError(f"{step.error} Ask for the prediction again.")
    return step.result()
