"""The login is what it was when the server started, whatever becomes of its secrets file."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time

import httpx

from benchmarks.page_client import PageClient
from tests.server.conftest import ISSUER, ORIGIN, signed_cookie

MUTATIONS = 200
PRIVATE = ("/pixels/x/slice/0", "/scenes/x/parts", "/media/a.png", "/_stcore/metrics")
CHIEF = {"iss": ISSUER, "email": "chief@lab.example", "email_verified": True}


def mutated(text: str, chance: random.Random) -> str | None:
    """A secrets file as a slip of the hand or a half-written copy leaves it; None: no file."""
    lines = text.splitlines()
    place = chance.randrange(len(text))
    line = chance.randrange(len(lines))
    return chance.choice([
        "", None, text[:place], text[place:], text[:place] + text[place + 1 :],
        text[:place] + "\0" + text[place:],
        text[:place] + text[place].swapcase() + text[place + 1 :],
        text.replace("[auth]", "[Auth]"), text.replace("[auth]", ""), text.replace('"', "", 1),
        text.replace("[auth]", "[auth.other]"), "auth = 1\n", "[auth]\n",
        "\n".join(lines[:line] + lines[line + 1 :]), text.upper(), text.swapcase(),
        "".join(f'{one.split("=")[0]}= ""\n' if "=" in one else f"{one}\n" for one in lines),
    ])  # fmt: skip


def test_no_change_of_the_secrets_file_admits_a_stranger(login_server):
    whole = login_server.secrets.read_text()
    chance = random.Random(17)
    strangers = [
        {},
        *(
            signed_cookie(key, ORIGIN, CHIEF)
            for key in ("", "x", "another-key-0123456789-0123456789")
        ),
        *(signed_cookie("", origin, CHIEF) for origin in ("", "null")),
    ]
    admitted = []
    try:
        for number in range(MUTATIONS):
            text = mutated(whole, chance)
            if text is None:
                login_server.secrets.unlink(missing_ok=True)
            else:
                login_server.secrets.write_text(text)
            # A change has to have another time than the last one, to be seen as one.
            os.utime(login_server.secrets.parent, (number, number))
            cookies = strangers[number % len(strangers)]
            answer = httpx.get(login_server.url + PRIVATE[number % len(PRIVATE)], cookies=cookies)
            if answer.status_code not in (401, 503):
                admitted.append((number, text, answer.status_code))
            if number % 40 == 0:
                # Longer than Streamlit waits between two looks at its secrets.
                time.sleep(1.2)
                with PageClient(login_server.url, cookies=cookies, origin=ORIGIN) as client:
                    seen = client.open("training")
                    if {one.label for one in seen.of_kind("button")} != {"Log in"}:
                        admitted.append((number, text, seen.text()))
        with login_server.visit(login_server.cookie(**CHIEF)) as client:
            assert "<span>operator</span>" in client.open("training").text()
    finally:
        login_server.secrets.write_text(whole)
    assert admitted == []


def test_a_host_name_cannot_pretend_another_path(login_server):
    for host in ("127.0.0.1/_stcore/health?", "x/_stcore/health?", "127.0.0.1/_stcore/health#"):
        answer = httpx.get(login_server.url + "/media/a.png", headers={"Host": host})
        assert answer.status_code == 400


def test_a_server_without_the_login_it_needs_does_not_start(repo_root):
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.port", "0"]
    done = subprocess.run(
        [*command, "--server.headless", "true", "--server.address", "0.0.0.0"], cwd=repo_root,
        text=True, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Others can reach this server" in done.stderr
    assert "Traceback" not in done.stderr
