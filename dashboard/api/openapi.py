"""The OpenAPI document of the HTTP interface."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from dashboard.api.resources import PredictionJob, PredictionResult, Problem, StudyRequest
from dashboard.session.refusals import PROBLEM_TYPE

VERSION: Final = "1"
ZIP_TYPES: Final = ("application/zip", "application/octet-stream")
_MODELS: Final[tuple[type[BaseModel], ...]] = (
    StudyRequest, PredictionJob, PredictionResult, Problem,
)  # fmt: skip
_SCHEMAS: Final = "#/components/schemas/"
_REFUSALS: Final = {
    "400": "The request is not well formed.",
    "401": "The token is missing or wrong.",
    "404": "There is no such job or study.",
    "408": "The body came too slowly.",
    "409": "The job has no result, as it runs or has failed.",
    "413": "The archive is larger than MAX_UPLOAD_MIB.",
    "415": "The body is neither a zip nor JSON.",
    "422": "The bundles cannot be used, or the body does not name a study.",
    "429": "Too many jobs or requests; Retry-After says when to ask again.",
    "503": "There is no room for the archive, or the server is full.",
}


def openapi_document(base: str) -> dict[str, Any]:
    """OpenAPI 3.1 document of the interface.

    Args:
        base: Path that all of it is below.
    """
    _, found = models_json_schema(
        [(model, "serialization") for model in _MODELS], ref_template=_SCHEMAS + "{model}"
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "C-Spine Fracture Lab",
            "version": VERSION,
            "description": "Predictions of cervical-spine CT. For teaching and research; not a "
            "medical device.",
        },
        "servers": [{"url": base}],
        "security": [{"token": []}],
        "paths": _paths(),
        "components": {
            "schemas": found["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _paths() -> dict[str, Any]:
    job = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
    result = _operation(
        "result", "The scores, the verdict and the boxes of a finished job.",
        {"200": PredictionResult}, "401", "404", "409", "429", "503",
    )  # fmt: skip
    return {
        "/predictions": {"post": _start()},
        "/predictions/{id}": {
            "parameters": job,
            "get": _operation(
                "job", "How far a job is.", {"200": PredictionJob}, "401", "404", "429", "503"
            ),
            "delete": _operation(
                "delete",
                "End a job and delete its archive and all that was made from it.",
                {"204": None},
                "401",
                "404",
                "429",
                "503",
            ),
        },
        "/predictions/{id}/result": {"parameters": job, "get": result},
        "/openapi.json": {
            "get": {
                "operationId": "document",
                "summary": "This document.",
                "security": [],
                "responses": {
                    "200": {
                        "description": "OpenAPI 3.1.",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    }
                },
            }
        },
    }


def _start() -> dict[str, Any]:
    archive = {"schema": {"type": "string", "format": "binary"}}
    refusals = ("400", "401", "404", "408", "413", "415", "422", "429", "503")
    operation = _operation(
        "start", "Predict a zip of one DICOM series, or a study of the server's data set.",
        {"202": PredictionJob}, *refusals,
    )  # fmt: skip
    operation["responses"]["202"]["headers"] = {
        "Location": {"description": "Address of the job.", "schema": {"type": "string"}}
    }
    return operation | {
        "parameters": [
            {
                "name": "bundle",
                "in": "query",
                "description": "Networks by name, as `predict --bundle` takes them; the server's "
                "default ones unless given.",
                "schema": {"type": "array", "items": {"type": "string"}},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                **dict.fromkeys(ZIP_TYPES, archive),
                "application/json": {"schema": {"$ref": f"{_SCHEMAS}{StudyRequest.__name__}"}},
            },
        },
    }


def _operation(
    name: str, summary: str, answers: dict[str, type[BaseModel] | None], *refusals: str
) -> dict[str, Any]:
    responses: dict[str, Any] = {
        status: {
            "description": "Done." if model is None else (model.__doc__ or ""),
            **({} if model is None else _content("application/json", model)),
        }
        for status, model in answers.items()
    }
    for status in refusals:
        responses[status] = {"description": _REFUSALS[status], **_content(PROBLEM_TYPE, Problem)}
    return {"operationId": name, "summary": summary, "responses": responses}


def _content(media_type: str, model: type[BaseModel]) -> dict[str, Any]:
    return {"content": {media_type: {"schema": {"$ref": f"{_SCHEMAS}{model.__name__}"}}}}
