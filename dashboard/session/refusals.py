"""Answers that refuse a request: a sentence for people, problem details (RFC 9457) for programs."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.responses import JSONResponse, PlainTextResponse, Response

from dashboard.session.urls import path_of

API: Final = "api"
"""First part of the path of everything that programs ask for."""
PROBLEM_TYPE: Final = "application/problem+json"


def refusal_answer(
    path: str, status: int, sentence: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer to a request that is refused; not kept by any cache.

    Args:
        path: Path of the request.
        status: HTTP status, 400 or above.
        sentence: Reason and remedy.
        headers: Further headers.
    """
    more = {"Cache-Control": "no-store", **(headers or {})}
    if not path.startswith(f"{path_of(API)}/"):
        return PlainTextResponse(f"{sentence}\n", status, more)
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": sentence,
    }
    return JSONResponse(problem, status, more, PROBLEM_TYPE)
