"""What the HTTP interface takes and gives, as JSON; its OpenAPI document is made from these."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.inference.verdict import Call

State = Literal["running", "finished", "failed"]
Stage = Literal["unpacking", "reading", "predicting", "boxes", "done"]
UPLOAD_STAGES: Final[tuple[Stage, Stage]] = ("unpacking", "reading")
"""Stages of an upload, as in `dashboard.studies.upload_jobs.STAGES`."""


class Resource(BaseModel):
    """A JSON object with these fields and no others."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StudyRequest(Resource):
    """Asks for a study of the server's data set."""

    study: str = Field(min_length=1, max_length=128, description="Its StudyInstanceUID.")


class PredictionJob(Resource):
    """One prediction and how far it is."""

    id: str = Field(description="Part of the addresses of the job and of its result.")
    state: State
    stage: Stage = Field(description="Step that is being done; the last one of a failed job.")
    ahead: int = Field(ge=0, description="Jobs of the server that come before this step.")
    done: int = Field(ge=0, description="Files or slices of this step that are done.")
    total: int = Field(ge=0, description="Files or slices of this step; 0 until that is known.")
    seconds_left: float | None = Field(description="Estimate for this step; null without one.")
    error: str | None = Field(description="Why the job has failed, in one sentence; null else.")


class StudyPrediction(Resource):
    """The object of `predictions.json`, as `python -m core predict` writes it."""

    study_id: str
    call: Call = Field(description="The verdict on the patient.")
    in_distribution: bool | None = Field(description="Whether the networks may judge the scan.")
    distribution_score: float | None = Field(description="Above 1: out of distribution.")
    distribution_percentile: float | None = Field(
        description="Share of the reference studies with at most this score, in percent."
    )
    threshold: float = Field(description="Patient threshold of the operating point.")
    region: list[Call] = Field(description="Answers in the conformal region of the probability.")
    reason: str = Field(description="Why no call is made or why it is uncertain; else empty.")
    patient: float = Field(ge=0, le=1, description="Probability of a fracture.")
    vertebrae: dict[str, float] = Field(description="The same for each vertebra.")
    not_seen: list[str] = Field(description="Vertebrae that no slice shows.")
    n_slices: int
    bundles: list[str] = Field(description="The networks.")
    presence_from: str | None = Field(description="The network that sees the vertebrae.")
    seconds: float = Field(description="Time that the networks took.")


class Box(Resource):
    """A box on one slice, in pixels of its file: a row of `boxes.csv`."""

    slice_number: int = Field(description="Number of the DICOM file, as in RSNA's tables.")
    x: float = Field(description="Left edge.")
    y: float = Field(description="Upper edge.")
    width: float
    height: float
    score: float = Field(ge=0, le=1)


class PredictionResult(Resource):
    """Result of a finished job."""

    predictions: StudyPrediction
    boxes: list[Box] = Field(description="Boxes at or above the localiser's operating point.")


class Problem(Resource):
    """Why a request is refused (RFC 9457)."""

    type: Literal["about:blank"]
    title: str
    status: int
    detail: str = Field(description="One sentence: reason and remedy.")
