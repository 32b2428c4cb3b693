"""Requests to one DICOMweb server and to no other host, with limits and plain errors."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Generator, Iterator
from typing import Any, Final

import requests
from dicomweb_client import DICOMwebClient
from pydicom.config import IGNORE
from pydicom.uid import UID
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from requests.exceptions import InvalidSchema, SSLError, TooManyRedirects

from core.dicomweb.servers import DicomWebServer
from core.errors import CSpineError, DicomWebError

TIMEOUT_S: Final = (10.0, 60.0)
"""Seconds to connect, and seconds between two pieces of an answer."""
ANSWER_BYTES: Final = 16 << 20
"""Largest answer that is kept in memory: lists of studies and series, and receipts."""
ANSWER_SECONDS: Final = 120.0
_MOST_REDIRECTS: Final = 3
_CHUNK: Final = 1 << 16
_REMEDIES: Final = {
    401: "check its login in the file of DICOMWEB_SECRETS",
    403: "ask its administrator for the right",
    404: "check the UID, and its URL in DICOMWEB_SERVERS",
    413: "send less at a time, or raise its limit",
}

# Both name URLs with the patient that was searched for.
for _library in ("dicomweb_client", "urllib3.connectionpool"):
    logging.getLogger(_library).setLevel(logging.CRITICAL + 1)


class _Token(AuthBase):
    """Bearer token in every request to the server."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Bounded:
    """The body of an answer up to a size and a time; it stands for urllib3's response."""

    def __init__(self, raw: Any) -> None:  # noqa: ANN401 - urllib3's response
        self._raw = raw

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever requests asks for
        return getattr(self._raw, name)

    def stream(self, amount: int, decode_content: bool | None = None) -> Iterator[bytes]:
        """Yield the body in pieces.

        Raises:
            DicomWebError: It is too large or takes too long.
        """
        del amount
        left, until = ANSWER_BYTES, time.monotonic() + ANSWER_SECONDS
        for piece in self._raw.stream(_CHUNK, decode_content=decode_content):
            left -= len(piece)
            if left < 0 or time.monotonic() > until:
                self._raw.close()
                raise DicomWebError(
                    f"The server's answer is larger than {ANSWER_BYTES >> 20} MiB or takes longer "
                    f"than {ANSWER_SECONDS:.0f} s; ask for less, for example for one day."
                )
            yield piece


class _Adapter(HTTPAdapter):
    """Bounds every answer that is not streamed to the caller, and leaves wildcards as they are."""

    def send(self, request: requests.PreparedRequest, *rest: Any, **named: Any) -> Any:  # noqa: ANN401 - as in requests
        # The plugin of Orthanc up to 1.7 at least takes this wildcard only as it is.
        request.url = (request.url or "").replace("%2A", "*")
        response = super().send(request, *rest, **named)
        if not named.get("stream"):
            response.raw = _Bounded(response.raw)
        return response


def open_session(server: DicomWebServer) -> requests.Session:
    """A session that reaches this server alone; a redirect to another host ends in an error."""
    session = requests.Session()
    # No proxies, logins or certificates from the environment or from ~/.netrc.
    session.trust_env = False
    # Without an adapter there is no connection, whoever names the URL.
    session.adapters.clear()
    session.mount(server.origin, _Adapter())
    session.max_redirects = _MOST_REDIRECTS
    session.headers["Accept"] = "application/dicom+json"
    session.verify = str(server.ca) if server.ca is not None else True
    if server.token:
        session.auth = _Token(server.token)
    elif server.user:
        session.auth = HTTPBasicAuth(server.user.encode(), server.password.encode())
    return session


@contextlib.contextmanager
def client_of(server: DicomWebServer) -> Generator[DICOMwebClient]:
    """A client for searching and storing; what fails in the block is a `DicomWebError`."""
    with answers_of(server), open_session(server) as session:
        client = DICOMwebClient(server.url, session=session, timeout=TIMEOUT_S)
        # A person waits: better a sentence at once than five tries.
        client.set_http_retry_params(retry=False)
        yield client


@contextlib.contextmanager
def answers_of(server: DicomWebServer) -> Generator[None]:
    """Turn what goes wrong with a server into one sentence without anything that it sent.

    Raises:
        DicomWebError: The server cannot be reached, refuses or answers wrongly.
        StorageError: As the block raises it, like every typed error.
    """
    try:
        yield
    except CSpineError:
        raise
    except requests.HTTPError as error:
        status = 0 if error.response is None else error.response.status_code
        remedy = _REMEDIES.get(status, "try again later, or ask its administrator")
        raise DicomWebError(
            f"The DICOM server {server.name!r} answered with status {status}; {remedy}."
        ) from None
    except (InvalidSchema, TooManyRedirects):
        raise DicomWebError(
            f"The DICOM server {server.name!r} sends its visitors to another address; give its own "
            "in DICOMWEB_SERVERS."
        ) from None
    except SSLError:
        raise DicomWebError(
            f"The certificate of the DICOM server {server.name!r} is not valid; name the "
            "certificates that vouch for it in DICOMWEB_CA."
        ) from None
    except requests.RequestException as error:
        raise DicomWebError(
            f"The DICOM server {server.name!r} cannot be reached or broke off "
            f"({type(error).__name__}); check that it runs, and try again."
        ) from None
    except OSError:
        raise
    except Exception as error:
        # Answers are decoded by libraries, which fail in many ways; the message may quote them.
        raise DicomWebError(
            f"The DICOM server {server.name!r} answered with something else than DICOMweb "
            f"({type(error).__name__}); check its URL in DICOMWEB_SERVERS."
        ) from error


def checked_uid(uid: str, what: str) -> str:
    """A UID that may be part of a URL.

    Args:
        uid: The UID.
        what: Its name in messages.

    Raises:
        DicomWebError: It is none.
    """
    if not UID(uid, IGNORE).is_valid:  # Without the warning, which would quote it.
        raise DicomWebError(
            f"The {what} is no UID (digits and dots, up to 64); copy it from a search."
        )
    return uid
