from __future__ import annotations

import httpx
import pytest

from benchmarks.page_client import XSRF_COOKIE
from tests.dashboard.workplace import N_SLICES
from tests.server.conftest import ISSUER, ORIGIN, SECRET, signed_cookie

STUDENT = {"email": "s@uni.example", "groups": ["students"], "email_verified": True}


def labels(client) -> set[str]:
    return {one.label for one in client.page.of_kind("button")}


def test_nobody_sees_anything_before_the_login(login_server):
    with login_server.visit() as client:
        for page in ("overview", "diagnosis", "dataset"):
            text = client.open(page).text()
            assert "Study" not in text
            assert "registered accounts only" in text
            assert labels(client) == {"Log in"}


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "x@elsewhere.example"},
        {"email": "chief@lab.example", "email_verified": False},
        {"email": "chief@lab.example", "email_verified": "true"},
        {"email": "chief@lab.example", "email_verified": None},
        {"email": "chief@lab.example", "iss": "https://id.elsewhere.example"},
        {"groups": ["students"], "iss": None},
        {"email": "chief@lab.example.evil.example"},
        {"email": "x@elsewhere.example", "groups": "student"},
        {"is_logged_in": False, "email": "chief@lab.example"},
    ],
)
def test_an_account_without_a_role_sees_nothing(login_server, claims):
    with login_server.visit(login_server.cookie(**claims)) as client:
        client.open("overview")
        assert client.page.of_kind("alert") or labels(client) == {"Log in"}
        assert "Account" not in client.page.text()
        assert not client.page.of_kind("page_link")
    answer = httpx.get(
        login_server.url + "/pixels/x/slice/0", cookies=login_server.cookie(**claims)
    )
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"email": "Chief@LAB.example"}, "operator"),
        ({"email": "a@lab.example"}, "viewer"),
        (STUDENT, "viewer"),
    ],
)
def test_roles_decide_what_a_page_offers(login_server, claims, role):
    with login_server.visit(login_server.cookie(**claims)) as client:
        text = client.open("training").text()
        assert claims["email"] in text
        assert f"<span>{role}</span>" in text
        assert ("Start training" in labels(client)) == (role == "operator")
        client.open("diagnosis")
        source = client.find("button_group", "source")
        offered = {option.content for option in source.options}
        assert ("Folder" in offered) == (role == "operator")
        assert "Upload" in offered


def test_pixels_go_to_those_who_may_look(login_server):
    own = login_server.cookie(**STUDENT)
    with login_server.visit(own) as client:
        client.open("diagnosis")
        viewer = client.component_data("viewer")
        assert viewer["shape"][0] == N_SLICES
        path = f"{login_server.url}{viewer['path']}/{viewer['source']}/slice/0"
        assert httpx.get(path, cookies=own).status_code == 200
        student = STUDENT | {"iss": ISSUER}
        forged = signed_cookie("another-key-of-the-same-length-000000", ORIGIN, student)
        elsewhere = signed_cookie(SECRET, "https://other.example", student)
        for cookies in ({}, forged, elsewhere, {next(iter(own)): "x"}, {next(iter(own)): "é"}):
            headers = {
                "Cookie": "; ".join(f"{k}={v}" for k, v in cookies.items()).encode("latin-1")
            }
            answer = httpx.get(path, headers=headers)
            assert (answer.status_code, answer.headers["cache-control"]) == (401, "no-store")


@pytest.mark.parametrize(
    "path",
    [
        "/media/a.png",
        "/scenes/a/parts",
        "/scenes",
        "/pictures/a",
        "/pixels",
        "/_stcore/metrics",
        "/_stcore/agent/mcp",
        "/_stcore/script-health-check",
    ],
)
def test_every_place_with_data_asks_for_the_login(login_server, path):
    assert httpx.get(login_server.url + path).status_code == 401
    own = login_server.cookie(**STUDENT)
    assert httpx.get(login_server.url + path, cookies=own).status_code != 401


def test_uploads_ask_for_the_login(login_server):
    with login_server.visit() as client:
        token = client.http.cookies.get(XSRF_COOKIE)
        answer = client.http.put(
            f"/_stcore/upload_file/{client.session_id or 'x'}/f",
            files={"file": ("a", b"x")},
            headers={"X-Xsrftoken": token},
        )
        assert answer.status_code == 401
