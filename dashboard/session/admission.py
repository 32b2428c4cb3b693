"""Who is admitted to this server, decided once at its start.

Streamlit reads its secrets file again whenever it changes, and without an `[auth]` section it asks
nobody for a login. The decision here is kept until the server ends, and the files are not read a
second time, so that no change of a file while the server runs can admit anybody.
"""

from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, cast

import streamlit as st
from streamlit import config
from streamlit.auth_util import get_secrets_auth_section
from streamlit.runtime.secrets import AttrDict, secrets_singleton

from core.config import Settings
from core.errors import ConfigError
from dashboard.session.roles import RoleRules, role_rules
from dashboard.session.settings import settings

Mode = Literal["login", "own machine", "open"]
LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "::1")
SHORTEST_KEY: Final = 32
"""Characters of `cookie_secret`; whoever guesses it can sign in as anybody."""
_CALLBACK: Final = "/oauth2callback"
_OF_PROVIDER: Final = ("client_id", "client_secret", "server_metadata_url")


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """How this server can be reached, and where its secrets are.

    Attributes:
        address: Address it listens on; None for all.
        hosts: Host names it answers to; empty for all.
        secrets_files: TOML files, or folders with one file per value.
        named: Whether the operator named these files; they must exist then.
    """

    address: str | None
    hosts: Sequence[str]
    secrets_files: Sequence[Path] = ()
    named: bool = False

    @property
    def is_own_machine(self) -> bool:
        """Whether only this machine can reach the server."""
        names = [name.strip().lower().rstrip(".") for name in self.hosts]
        return is_loopback(self.address or "") and bool(names) and all(map(is_loopback, names))


@dataclass(frozen=True, slots=True)
class Admission:
    """The decision.

    Attributes:
        mode: "login": roles by rules; "own machine": everybody is an operator, as only this
            machine reaches the server; "open": everybody is a viewer.
        rules: Rules for roles; none without a login.
        auth: The section `[auth]` of the secrets; empty without a login.
    """

    mode: Mode
    rules: RoleRules = field(default_factory=RoleRules)
    auth: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def check_holds(self) -> None:
        """Check that Streamlit still works with the login that was decided.

        Raises:
            ConfigError: It does not.
        """
        # Of any type: a file may hold `auth = 1`.
        section = cast("object", get_secrets_auth_section())
        if not isinstance(section, AttrDict) or section.to_dict() != self.auth:
            raise ConfigError(
                "The login settings of this server have changed since it started; restart it."
            )


def is_loopback(name: str) -> bool:
    """Whether a host name or an address is this machine's own."""
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name in LOOPBACK_NAMES


@cache
def admission() -> Admission:
    """The decision; taken at the first call, which is at the start of the server.

    Raises:
        ConfigError: The server must not start; the message says why.
    """
    decided = decide(settings(), _this_server())
    # From here on Streamlit knows what was read once, and watches no file.
    config.set_option("secrets.files", [])
    if decided.auth:
        secrets_singleton.merge_programmatic_secrets({"auth": dict(decided.auth)})
    return decided


def decide(settings: Settings, place: ServerPlace) -> Admission:
    """Decide who is admitted.

    Args:
        settings: Rules for roles, and whether a login is required.
        place: Address, host names and secrets files of the server.

    Raises:
        ConfigError: A login is wanted but not complete, or others could reach the server without
            one.
    """
    rules = role_rules(settings)
    found = [path for path in place.secrets_files if path.exists()]
    if found or place.named or settings.dashboard_login == "required":
        return _with_login(place, found, rules)
    if rules.operators or rules.viewers:
        raise ConfigError(
            "DASHBOARD_OPERATORS and DASHBOARD_VIEWERS need a login; complete [auth] in "
            ".streamlit/secrets.toml or unset them."
        )
    if settings.dashboard_open:
        return Admission("open")
    if not place.is_own_machine:
        raise ConfigError(
            "Others can reach this server (its address or ALLOWED_HOSTS is not only this "
            "machine's), but it asks for no login; complete [auth] in .streamlit/secrets.toml, or "
            "set DASHBOARD_OPEN=1 to let every visitor view."
        )
    return Admission("own machine")


def _with_login(place: ServerPlace, found: Sequence[Path], rules: RoleRules) -> Admission:
    if place.named and len(found) < len(place.secrets_files):
        missing = next(path for path in place.secrets_files if not path.exists())
        raise ConfigError(f"{missing} does not exist; correct secrets.files.")
    if not found:
        raise ConfigError(
            "DASHBOARD_LOGIN=required needs [auth] in .streamlit/secrets.toml; write it or unset "
            "DASHBOARD_LOGIN."
        )
    secrets: dict[str, Any] = {}
    for path in found:
        secrets |= _read(path)
    section: object = secrets.get("auth")
    auth: dict[str, Any] = section if isinstance(section, dict) else {}
    if fault := _fault_of(auth):
        raise ConfigError(f"{found[-1]}: {fault}; correct the file, or remove it to run without.")
    return Admission("login", rules, auth)


def _fault_of(auth: Mapping[str, Any]) -> str | None:
    """What is wrong with an `[auth]` section; None if it is complete."""
    if not auth:
        return "there is no section [auth]"
    uri, key = auth.get("redirect_uri"), auth.get("cookie_secret")
    if not isinstance(uri, str) or not uri.endswith(_CALLBACK) or "://" not in uri:
        return f"redirect_uri in [auth] is not https://…{_CALLBACK}"
    if not isinstance(key, str) or len(key) < SHORTEST_KEY:
        return f"cookie_secret in [auth] is shorter than {SHORTEST_KEY} characters"
    providers = [value for value in auth.values() if isinstance(value, dict)] or [auth]
    for provider in providers:
        for name in _OF_PROVIDER:
            if not isinstance(provider.get(name), str) or not provider[name].strip():
                return f"{name} in [auth] is missing"
    return None


def _read(path: Path) -> dict[str, Any]:
    """Contents of a TOML file, or of a folder as Kubernetes mounts secrets."""
    try:
        if path.is_dir():
            return {entry.name: _read_folder(entry) for entry in path.iterdir() if entry.is_dir()}
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path} cannot be read as TOML, so the login is not known; correct the file."
        ) from error


def _read_folder(folder: Path) -> Any:  # noqa: ANN401 - one value or a section of values
    # Kubernetes keeps the files of a mount behind links whose names begin with two dots.
    files = [file for file in folder.iterdir() if file.is_file() and file.name[:2] != ".."]
    values = {file.name: file.read_text(encoding="utf-8").strip() for file in files}
    return next(iter(values.values())) if len(values) == 1 else values


def _this_server() -> ServerPlace:
    return ServerPlace(
        address=st.get_option("server.address"),
        hosts=st.get_option("server.allowedHosts") or (),
        secrets_files=[Path(path) for path in st.get_option("secrets.files")],
        named=config.is_manually_set("secrets.files"),
    )
