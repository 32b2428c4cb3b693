"""Routes of the HTTP interface; off unless API_TOKEN is set."""

from __future__ import annotations

import asyncio
import hmac
import logging
import traceback
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.errors import BundleError, CSpineError, TaskError
from dashboard.api.jobs import ApiJob, ApiJobs
from dashboard.api.networks import choose_networks
from dashboard.api.openapi import VERSION, ZIP_TYPES, openapi_document
from dashboard.api.resources import StudyRequest
from dashboard.session.refusals import API, refusal_answer
from dashboard.session.settings import api_settings, settings
from dashboard.session.urls import path_of
from dashboard.studies.cohort import find_cohort
from dashboard.studies.incoming_files import INCOMING, Transfer, TransferRefusedError
from dashboard.studies.request_body import body_pieces, declared_bytes, too_large
from dashboard.studies.served_bytes import no_content

_log = logging.getLogger(__name__)

_SHORT: Final = 4 << 10
"""Bytes of a request that only names a study."""
_PIECE: Final = 1 << 20
_AGAIN_S: Final = 10
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

Endpoint = Callable[[Request], Awaitable[Response]]


class _RefusedError(CSpineError):
    """A request is refused with a status."""

    def __init__(self, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
        self.status, self.headers = status, headers
        super().__init__(sentence)


def api_path() -> str:
    """Path of the interface, without a trailing slash."""
    return f"{path_of(API)}/v{VERSION}"


def api_routes() -> list[Route]:
    """Routes for `st.App`."""
    jobs, path = _Predictions(), api_path()
    known: Sequence[tuple[str, str, Endpoint]] = (
        ("GET", "/openapi.json", _document),
        ("POST", "/predictions", _with_token(jobs.start)),
        ("GET", "/predictions/{id}", _with_token(jobs.show)),
        ("DELETE", "/predictions/{id}", _with_token(jobs.delete)),
        ("GET", "/predictions/{id}/result", _with_token(jobs.result)),
    )
    routes = [
        Route(path + place, _answered(endpoint), methods=[method])
        for method, place, endpoint in known
    ]
    rest = [path_of(API), path_of(API) + "/{rest:path}"]
    return routes + [Route(place, _answered(_nothing), methods=_METHODS) for place in rest]


def _answered(endpoint: Endpoint) -> Endpoint:
    """An endpoint whose errors are problem details, and that does not exist without a token."""

    async def answer(request: Request) -> Response:
        path = request.scope["path"]
        try:
            if api_settings().api_token is None:
                return no_content()
            return await endpoint(request)
        except _RefusedError as error:
            return refusal_answer(path, error.status, str(error), error.headers)
        except TransferRefusedError as error:
            return refusal_answer(path, error.status, str(error))
        except TaskError as error:
            return refusal_answer(path, 429, str(error), {"Retry-After": str(_AGAIN_S)})
        except BundleError as error:
            return refusal_answer(path, 422, str(error))
        except ClientDisconnect:
            return refusal_answer(path, 400, "The request is incomplete; send it again.")
        except CSpineError as error:
            return refusal_answer(path, 503, str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the answer is a sentence
            # Without its text, which may hold a patient's.
            frames = "".join(traceback.format_tb(error.__traceback__))
            _log.error("A request failed (%s):\n%s", type(error).__name__, frames)
            return refusal_answer(path, 500, "The request failed; the server's log shows where.")

    return answer


def _with_token(endpoint: Endpoint) -> Endpoint:
    async def checked(request: Request) -> Response:
        token = api_settings().api_token
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        fits = token is not None and hmac.compare_digest(
            given.strip().encode(), token.get_secret_value().encode()
        )
        if scheme.lower() != "bearer" or not fits:
            sentence = "The token is missing or wrong; send Authorization: Bearer and API_TOKEN."
            raise _RefusedError(401, sentence, {"WWW-Authenticate": "Bearer"})
        return await endpoint(request)

    return checked


async def _document(request: Request) -> Response:
    del request
    return JSONResponse(openapi_document(api_path()))


async def _nothing(request: Request) -> Response:
    raise _RefusedError(404, f"{request.method} has nothing here; see {api_path()}/openapi.json.")


class _Predictions:
    """Endpoints of the predictions of one server process."""

    def __init__(self) -> None:
        self._jobs = ApiJobs()

    async def start(self, request: Request) -> Response:
        """Begin a prediction of an archive, or of a study that the body names."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and kind not in ZIP_TYPES:
            raise _RefusedError(
                415,
                f"The body is of an unknown type; send {ZIP_TYPES[0]} or application/json.",
            )
        networks = await asyncio.to_thread(choose_networks, request.query_params.getlist("bundle"))
        job = self._jobs.add(networks)
        try:
            if kind in ZIP_TYPES:
                self._jobs.start(job, archive=await _archive(request, job.id))
            else:
                self._jobs.start(job, folder=await _folder(request))
        except BaseException:
            await self._jobs.remove(job)
            raise
        place = f"{api_path()}/predictions/{job.id}"
        return _json(job.resource(), 202, {"Location": place})

    async def show(self, request: Request) -> Response:
        """How far a job is."""
        return _json(self._job(request).resource())

    async def result(self, request: Request) -> Response:
        """Result of a finished job."""
        job = self._job(request)
        if job.result is None:
            reason = job.problem or "The job has not finished; ask for its state first."
            raise _RefusedError(409, reason)
        return _json(job.result)

    async def delete(self, request: Request) -> Response:
        """End a job, and delete what belongs to it."""
        await self._jobs.remove(self._job(request))
        return Response(status_code=204)

    def _job(self, request: Request) -> ApiJob:
        job = self._jobs.find(request.path_params["id"])
        if job is None:
            raise _RefusedError(404, "There is no such prediction; it may have been deleted.")
        return job


async def _archive(request: Request, session: str) -> Path:
    """Store the body as a file of the session.

    Raises:
        TransferRefusedError: It is empty or too large, there is no room, or it comes too slowly.
        ClientDisconnect: It is incomplete.
    """
    limit, declared = settings().max_upload_mib << 20, declared_bytes(request)
    if declared > limit:
        raise too_large()
    (file_id,) = INCOMING.issue(session, 1)
    transfer = await asyncio.to_thread(INCOMING.begin, session, file_id, declared)
    try:
        await _receive(request, transfer, limit)
    except BaseException:
        transfer.abort()
        raise
    stored = INCOMING.path_of(file_id)
    if stored is None:
        raise TransferRefusedError(503, "The archive was removed meanwhile; send it again.")
    return stored


async def _receive(request: Request, transfer: Transfer, limit: int) -> None:
    pending = bytearray()
    async for piece in body_pieces(request, limit):
        pending += piece
        if len(pending) >= _PIECE:
            await asyncio.to_thread(transfer.write, bytes(pending))
            pending.clear()
    await asyncio.to_thread(transfer.write, bytes(pending))
    if not transfer.size:
        raise TransferRefusedError(400, "The body is empty; send a zip of one DICOM series.")
    transfer.finish()


async def _folder(request: Request) -> Path:
    """Folder of the study that a body names."""
    body = b"".join([piece async for piece in body_pieces(request, _SHORT)])
    try:
        wanted = StudyRequest.model_validate_json(body).study
    except ValidationError as error:
        sentence = 'The body does not name a study; send {"study": "<StudyInstanceUID>"}.'
        raise _RefusedError(422, sentence) from error
    cohort = await asyncio.to_thread(find_cohort)
    studies = () if cohort is None else cohort.studies
    found = next((one.folder for one in studies if one.study_id == wanted), None)
    if found is None:
        raise _RefusedError(404, "The data set has no such study; send its StudyInstanceUID.")
    return found


def _json(content: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    more = {"Cache-Control": "no-store", **(headers or {})}
    return Response(content.model_dump_json(), status, more, "application/json")
