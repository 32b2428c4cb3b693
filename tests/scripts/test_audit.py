from __future__ import annotations

import subprocess
from email.message import Message
from types import SimpleNamespace

import pytest

from scripts import audit
from scripts.audit import NO_NETWORK, license_of, vulnerabilities


def package(**fields):
    message = Message()
    for name, value in {"Name": "x", **fields}.items():
        message[name.replace("_", "-")] = value
    return SimpleNamespace(metadata=message, version="1.0")


@pytest.mark.parametrize(
    ("fields", "stated", "copyleft"),
    [
        ({"License_Expression": "BSD-3-Clause", "License": "long text"}, "BSD-3-Clause", False),
        ({"Classifier": "License :: OSI Approved :: GNU General Public License v3 (GPLv3)"},
         "GNU General Public License v3 (GPLv3)", True),
        ({"License": "MPL-2.0\n\nfull text"}, "MPL-2.0", True),
        ({"License_Expression": "LGPL-2.1-or-later"}, "LGPL-2.1-or-later", True),
        ({}, "not stated", False),
    ],
)  # fmt: skip
def test_a_licence_is_read_from_the_metadata(fields, stated, copyleft):
    found = license_of(package(**fields))
    assert (found.license, found.copyleft) == (stated, copyleft)


@pytest.mark.parametrize(
    ("status", "out", "error", "expected", "sentence"),
    [
        (0, "", "No known vulnerabilities found", 0, "No known vulnerabilities found"),
        (1, "a 1.0 PYSEC-1", "Found 1 known vulnerability in 1 package", 1, "PYSEC-1"),
        (0, "a could not be audited", "No known vulnerabilities found", NO_NETWORK, "but 1 of "),
        (0, "a could not be audited\n" * 999, "No known", NO_NETWORK, "for none of the packages"),
        (1, "", "ConnectionError: no route", NO_NETWORK, "cannot reach its database"),
        (1, "", "No module named pip_audit", NO_NETWORK, "is not installed"),
    ],
)
def test_what_pip_audit_answers_is_reported_plainly(
    monkeypatch, capsys, status, out, error, expected, sentence
):
    done = subprocess.CompletedProcess([], status, out, error)
    monkeypatch.setattr(audit.subprocess, "run", lambda *_args, **_options: done)
    assert vulnerabilities() == expected
    assert sentence in capsys.readouterr().out
