from __future__ import annotations

from pathlib import Path

import pytest

from core.config import Settings
from core.errors import ConfigError
from dashboard.session import admission as module
from dashboard.session.admission import Admission, ServerPlace, decide, is_loopback

KEY = "0123456789abcdef" * 2
AUTH = {
    "redirect_uri": "https://lab.example.org/oauth2callback",
    "cookie_secret": KEY,
    "client_id": "lab",
    "client_secret": "x",
    "server_metadata_url": "https://id.example.org/.well-known/openid-configuration",
}
OWN = ("localhost", "127.0.0.1", "::1")


def toml(values, section="[auth]"):
    return "\n".join([section, *(f'{name} = "{value}"' for name, value in values.items())])


def place(*files: Path, address="127.0.0.1", hosts=OWN, named=False) -> ServerPlace:
    return ServerPlace(address, hosts, files, named)


def settings(**given) -> Settings:
    return Settings(dashboard_issuer="https://id.example.org", **given)


@pytest.fixture
def secrets(tmp_path):
    file = tmp_path / "secrets.toml"
    file.write_text(toml(AUTH))
    return file


def test_a_complete_login_is_taken_over_whole(secrets):
    found = decide(settings(dashboard_viewers="@b.c"), place(secrets))
    assert (found.mode, dict(found.auth)) == ("login", AUTH)
    assert found.rules.viewers[0].wanted == "@b.c"


def test_a_folder_of_secrets_is_read_as_kubernetes_mounts_it(tmp_path):
    section = tmp_path / "auth"
    section.mkdir()
    for name, value in AUTH.items():
        (section / name).write_text(f"{value}\n")
    assert dict(decide(settings(), place(tmp_path, named=True)).auth) == AUTH


def test_providers_below_the_section_are_complete_or_refused(tmp_path):
    file = tmp_path / "secrets.toml"
    shared = {name: AUTH[name] for name in ("redirect_uri", "cookie_secret")}
    own = {name: value for name, value in AUTH.items() if name not in shared}
    file.write_text(toml(shared) + "\n" + toml(own, "[auth.one]"))
    assert decide(settings(), place(file)).mode == "login"
    file.write_text(file.read_text() + '\n[auth.two]\nclient_id = "x"\n')
    with pytest.raises(ConfigError, match="client_secret in \\[auth\\] is missing"):
        decide(settings(), place(file))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no section"),
        ("[Auth]\nx = 1", "there is no section"),
        ('auth = "yes"', "there is no section"),
        ("[auth]\n", "there is no section"),
        ("[auth", "cannot be read as TOML"),
        (toml(AUTH)[:-1], "cannot be read as TOML"),
        (toml(AUTH | {"cookie_secret": KEY[:-1]}), "shorter than 32"),
        (toml(AUTH | {"redirect_uri": "https://lab.example.org/"}), "redirect_uri"),
        (toml(AUTH | {"redirect_uri": "/oauth2callback"}), "redirect_uri"),
        *((toml(AUTH | {name: " "}), f"{name} in") for name in
          ("client_id", "client_secret", "server_metadata_url")),
    ],
)  # fmt: skip
def test_a_secrets_file_without_a_complete_login_is_refused(tmp_path, text, message):
    file = tmp_path / "secrets.toml"
    file.write_text(text)
    for given in ({}, {"dashboard_open": True}, {"dashboard_login": "required"}):
        with pytest.raises(ConfigError, match=message):
            decide(settings(**given), place(file))


def test_what_asks_for_a_login_is_refused_without_one(tmp_path):
    absent = tmp_path / "secrets.toml"
    for given in (
        {"dashboard_login": "required"},
        {"dashboard_operators": "a@b.c"},
        {"dashboard_viewers": "*"},
    ):
        with pytest.raises(ConfigError, match=r"\[auth\]"):
            decide(settings(dashboard_open=True, **given), place(absent))
    with pytest.raises(ConfigError, match="does not exist; correct secrets"):
        decide(settings(), place(absent, named=True))


@pytest.mark.parametrize(
    ("address", "hosts"),
    [
        ("0.0.0.0", OWN),
        ("::", OWN),
        (None, OWN),
        ("", OWN),
        ("192.168.0.7", OWN),
        ("127.0.0.1.evil.example", OWN),
        ("127.0.0.1", (*OWN, "lab.example.org")),
        ("127.0.0.1", ("*",)),
        ("127.0.0.1", ()),
    ],
)
def test_a_server_that_others_reach_needs_a_login_or_serves_viewers(secrets, address, hosts):
    with pytest.raises(ConfigError, match="Others can reach this server"):
        decide(settings(), place(address=address, hosts=hosts))
    assert decide(settings(dashboard_open=True), place(address=address, hosts=hosts)).mode == "open"
    assert decide(settings(), place(secrets, address=address, hosts=hosts)).mode == "login"


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.2"])
def test_the_own_machine_needs_none(address):
    assert is_loopback(address)
    assert decide(settings(), place(address=address)).mode == "own machine"
    assert decide(settings(dashboard_open=True), place(address=address)).mode == "open"


def test_a_login_that_streamlit_knows_otherwise_does_not_hold(monkeypatch):
    decided = Admission("login", auth=AUTH)
    for section in ({}, {"cookie_secret": ""}, AUTH | {"cookie_secret": KEY[::-1]}):
        monkeypatch.setattr(
            module, "get_secrets_auth_section", lambda now=section: module.AttrDict(now)
        )
        with pytest.raises(ConfigError, match="restart it"):
            decided.check_holds()
    monkeypatch.setattr(module, "get_secrets_auth_section", lambda: module.AttrDict(AUTH))
    decided.check_holds()
    with pytest.raises(ConfigError, match="restart it"):
        Admission("own machine").check_holds()
