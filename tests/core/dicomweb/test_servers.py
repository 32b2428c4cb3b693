from __future__ import annotations

import pytest

from core.dicomweb.servers import find_server, server_names
from core.errors import ConfigError, DicomWebError

PACS = "pacs=https://pacs.example.org/dicom-web/"


def test_a_name_gives_the_url_of_the_list_and_the_login_of_the_file(settings_with):
    settings = settings_with(
        f"{PACS}, lab = http://127.0.0.1:8042/dicom-web",
        '[auth]\nx = 1\n[dicomweb.pacs]\nuser = "u"\npassword = "p,=:"\n',
    )
    assert server_names(settings) == ["pacs", "lab"]
    pacs = find_server(settings, "pacs")
    assert (pacs.url, pacs.user, pacs.password) == (
        "https://pacs.example.org/dicom-web",
        "u",
        "p,=:",
    )
    assert pacs.origin == "https://pacs.example.org/"
    lab = find_server(settings, "lab")
    assert (lab.origin, lab.user, lab.token) == ("http://127.0.0.1:8042/", "", "")


def test_no_list_means_no_server(settings_with):
    assert server_names(settings_with(" ")) == []
    with pytest.raises(DicomWebError, match="it is empty"):
        find_server(settings_with(""), "pacs")


@pytest.mark.parametrize(
    "name",
    ["", "PACS", "https://evil.example", "pacs.example.org", "pacs@evil", "../pacs", "lab\0"],
)
def test_only_a_name_of_the_list_is_a_server(settings_with, name):
    with pytest.raises(DicomWebError, match="choose one of DICOMWEB_SERVERS: it has pacs"):
        find_server(settings_with(PACS), name)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("pacs.example.org", "no https:// URL"),
        ("ftp://pacs.example.org/x", "no https:// URL"),
        ("file:///etc/passwd", "no https:// URL"),
        ("https://", "no https:// URL"),
        ("https://[::1]/x", "no https:// URL"),
        ("https://pacs.example.org:0/x", "no https:// URL"),
        ("https://pacs.example.org:99999/x", "is no URL"),
        ("https://u:p@pacs.example.org/x", "contains a login"),
        ("https://pacs.example.org/x?a=1", "more than a plain path"),
        ("https://pacs.example.org/x#a", "more than a plain path"),
        ("https://pacs.example.org/x y", "more than a plain path"),
        ("http://pacs.example.org/x", "not encrypted"),
        ("http://10.0.0.1/x", "not encrypted"),
    ],
)
def test_what_is_no_safe_url_is_refused_without_naming_it(settings_with, url, why):
    with pytest.raises(ConfigError, match=why) as refused:
        find_server(settings_with(f"pacs={url}"), "pacs")
    assert "u:p" not in str(refused.value)


@pytest.mark.parametrize("entry", ["https://pacs.example.org", "a b=https://x.y", f"{PACS},{PACS}"])
def test_an_entry_without_a_name_of_its_own_is_refused(settings_with, entry):
    with pytest.raises(ConfigError, match="name=https://host/path"):
        server_names(settings_with(entry))


@pytest.mark.parametrize(
    "text",
    [
        "[dicomweb", "dicomweb = 1", "[dicomweb]\npacs = 'x'", "[dicomweb.pacs]\nuser = 'u'",
        "[dicomweb.pacs]\npassword = 'p'", "[dicomweb.pacs]\ntoken = 7",
        "[dicomweb.pacs]\ntoken = 't'\nuser = 'u'\npassword = 'p'", "[dicomweb.pacs]\nurl = 'x'",
    ],
)  # fmt: skip
def test_half_a_login_is_refused(settings_with, text):
    with pytest.raises(ConfigError, match=r"secrets\.toml \(DICOMWEB_SECRETS\)"):
        find_server(settings_with(PACS, text), "pacs")


def test_a_login_is_not_in_what_a_server_prints(settings_with):
    server = find_server(
        settings_with(PACS, "[dicomweb.pacs]\nuser = 'uu'\npassword = 'pp'"), "pacs"
    )
    assert "uu" not in repr(server)
    assert "pp" not in repr(server)
