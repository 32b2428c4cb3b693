from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from benchmarks.page_client import PageClient
from tests.browser.server import serve
from tests.dashboard.fixtures import at_work, workplace

__all__ = ["at_work", "workplace"]

API_TOKEN = "a-token-of-these-tests-0123456789"
SECRET = "an-only-key-of-these-tests-0123456789"
ORIGIN = "http://127.0.0.1:8501"
ISSUER = "https://id.lab.example/realms/lab"


ROLES = {
    "DASHBOARD_OPERATORS": "chief@lab.example",
    "DASHBOARD_VIEWERS": "@lab.example, groups=students",
    "DASHBOARD_ISSUER": ISSUER,
}


@dataclass(frozen=True)
class LoginServer:
    """A running server that asks for a login.

    Attributes:
        url: Its address.
        secrets: Its secrets file.
    """

    url: str
    secrets: Path

    def cookie(self, **claims: object) -> dict[str, str]:
        """The cookie that a login of these claims would have left."""
        return signed_cookie(SECRET, ORIGIN, {"iss": ISSUER, "email_verified": True} | claims)

    def visit(self, cookies: Mapping[str, str] | None = None) -> PageClient:
        return PageClient(self.url, cookies=cookies, origin=ORIGIN)


def signed_cookie(secret: str, origin: str, claims: Mapping[str, object]) -> dict[str, str]:
    import json

    text = json.dumps({"origin": origin, "is_logged_in": True} | dict(claims))
    return {USER_COOKIE_NAME: create_signed_value(secret, USER_COOKIE_NAME, text).decode()}


@pytest.fixture(scope="session")
def open_server(workplace, repo_root, tmp_path_factory) -> Iterator[str]:
    """As `make run` starts it, with uploads of up to 1 MiB and the interface for programs."""
    log = tmp_path_factory.mktemp("log") / "open.log"
    more = {"MAX_UPLOAD_MIB": "1", "API_TOKEN": API_TOKEN}
    limit = ("--server.maxUploadSize", "1")
    with serve(repo_root, workplace.environment | more, log, extra=limit) as url:
        yield url


@pytest.fixture(scope="session")
def login_server(workplace, repo_root, tmp_path_factory) -> Iterator[LoginServer]:
    """Asks for a login; operators by address, viewers by domain or group; programs by a token."""
    folder = tmp_path_factory.mktemp("login")
    secrets = write_secrets(folder)
    options = ("--secrets.files", str(secrets))
    environment = workplace.environment | ROLES | {"API_TOKEN": API_TOKEN}
    with serve(repo_root, environment, folder / "log", extra=options) as url:
        yield LoginServer(url, secrets)


def write_secrets(folder: Path) -> Path:
    """Write a secrets file with a login; the file."""
    secrets = folder / "secrets.toml"
    secrets.write_text(
        f'[auth]\nredirect_uri = "{ORIGIN}/oauth2callback"\ncookie_secret = "{SECRET}"\n'
        'client_id = "lab"\nclient_secret = "x"\n'
        'server_metadata_url = "http://127.0.0.1:9/.well-known/openid-configuration"\n'
    )
    return secrets


@pytest.fixture(scope="session")
def lab_server(workplace, repo_root, tmp_path_factory) -> Iterator[str]:
    """Below the path /lab, on every address, without a login: visitors are viewers."""
    log = tmp_path_factory.mktemp("lab") / "log"
    more = {"CHECKPOINTS": str(repo_root / "checkpoints"), "DASHBOARD_OPEN": "1"}
    options = ("--server.baseUrlPath", "lab", "--server.address", "0.0.0.0")
    with serve(repo_root, workplace.environment | more, log, extra=options, base="/lab") as url:
        yield url


def host_of(url: str) -> str:
    return urlsplit(url).netloc
