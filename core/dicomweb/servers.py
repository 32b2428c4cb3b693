"""The DICOMweb servers that may be asked: an allow-list, and logins from a file of secrets.

Nobody but whoever configures this machine names a host. What users choose is a name of the list.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from core.config import Settings
from core.errors import ConfigError, DicomWebError

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_PATH: Final = re.compile(r"(/[\w.~-]+)*/?", re.ASCII)
_LOOPBACK: Final = ("localhost", "127.0.0.1")
_SECTION: Final = "dicomweb"


@dataclass(frozen=True, slots=True)
class DicomWebServer:
    """A server on the allow-list.

    Attributes:
        name: Its name there.
        url: Base URL of its DICOMweb services, without a slash at the end.
        user, password: Login by name and password; "" for none.
        token: Bearer token; "" for none.
        ca: Certificates that vouch for it; None for the public ones.
    """

    name: str
    url: str
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    ca: Path | None = None

    @property
    def origin(self) -> str:
        """Scheme, host and port, with a slash at the end."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}/"


def server_names(settings: Settings) -> list[str]:
    """Names on the allow-list (DICOMWEB_SERVERS), in its order.

    Raises:
        ConfigError: The list is malformed.
    """
    return list(_allowed(settings))


def find_server(settings: Settings, name: str) -> DicomWebServer:
    """A server of the allow-list with its login.

    Args:
        settings: The list, the file of secrets and the certificates.
        name: Name on the list.

    Raises:
        ConfigError: The list or the file of secrets is malformed.
        DicomWebError: The list has no such name.
    """
    allowed = _allowed(settings)
    if name not in allowed:
        known = f"it has {', '.join(allowed)}" if allowed else "it is empty"
        raise DicomWebError(
            f"{name!r} is no DICOMweb server of this installation; choose one of DICOMWEB_SERVERS: "
            f"{known}."
        )
    return DicomWebServer(
        name, allowed[name], **_login(settings.dicomweb_secrets, name), ca=settings.dicomweb_ca
    )


def _allowed(settings: Settings) -> dict[str, str]:
    """Base URL of each server by its name."""
    allowed: dict[str, str] = {}
    for part in settings.dicomweb_servers.split(","):
        if not part.strip():
            continue
        name, equals, url = (piece.strip() for piece in part.partition("="))
        if not equals or not _NAME.fullmatch(name) or name in allowed:
            raise ConfigError(
                "DICOMWEB_SERVERS has an entry that is no name=https://host/path with a name of "
                "its own (letters, digits, - and _); correct that entry."
            )
        allowed[name] = _checked_url(name, url)
    return allowed


def _checked_url(name: str, url: str) -> str:
    problem = _problem_of(url)
    if problem:
        raise ConfigError(
            f"The URL of {name!r} in DICOMWEB_SERVERS {problem}; write it like "
            "https://pacs.example.org/dicom-web."
        )
    return url.rstrip("/")


def _problem_of(url: str) -> str:
    """What is wrong with a base URL; "" for nothing."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is no URL"
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host) or port == 0:
        return "is no https:// URL of a named host"
    if parts.username is not None or parts.password is not None:
        return "contains a login, which belongs in the file of DICOMWEB_SECRETS"
    if parts.query or parts.fragment or not _PATH.fullmatch(parts.path):
        return "has more than a plain path behind the host"
    if parts.scheme == "http" and host not in _LOOPBACK:
        return "is not encrypted (http:// is for this machine alone)"
    return ""


def _login(file: Path, name: str) -> dict[str, str]:
    """User, password and token of a server; nothing if the file has no section for it."""
    try:
        content: Any = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{file.name} (DICOMWEB_SECRETS) is no readable TOML file; correct it or its rights."
        ) from error
    servers = content.get(_SECTION, {})
    section = servers.get(name, {}) if isinstance(servers, dict) else None
    fields = {"user", "password", "token"}
    if (
        not isinstance(section, dict)
        or not section.keys() <= fields
        or not all(isinstance(value, str) for value in section.values())
        or section.keys() not in (set(), {"user", "password"}, {"token"})
    ):
        raise ConfigError(
            f"[{_SECTION}.{name}] in {file.name} (DICOMWEB_SECRETS) is no login; give user and "
            "password, or token."
        )
    return section
