from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import logging
import ssl
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.dicomweb import connection
from core.dicomweb.search import StudyQuery, search_studies
from core.dicomweb.servers import DicomWebServer
from core.errors import DicomWebError

STUDIES = json.dumps([{"0020000D": {"vr": "UI", "Value": ["1.2.3"]}}]).encode()


def search(server, **query):
    return search_studies(server, StudyQuery(**query))


@pytest.mark.parametrize(
    "place",
    ["http://127.0.0.1:{other}/dicom-web/studies", "//127.0.0.1:{other}/", "file:///etc/passwd"],
)
def test_a_redirect_to_another_host_is_not_followed(answering, make_answering, place):
    other = make_answering()
    other.says(STUDIES)
    answering.sends_to(place.format(other=other.port))
    with pytest.raises(DicomWebError, match="sends its visitors to another address"):
        search(replace(answering.server, user="u", password="p"))
    assert len(answering.asked) == 1
    assert other.asked == []


def test_a_redirect_within_the_host_is_followed_a_few_times(answering):
    redirect, studies = answering.sends_to("/moved"), answering.says(STUDIES)
    answering.answer = lambda one: (studies if one.path == "/moved" else redirect)(one)
    assert [one.uid for one in search(answering.server).studies] == ["1.2.3"]
    answering.sends_to("/round")
    with pytest.raises(DicomWebError, match="another address"):
        search(answering.server)


def test_no_url_reaches_another_host(answering, make_answering):
    other = make_answering()
    other.says(STUDIES)
    session = connection.open_session(answering.server)
    urls = [other.url, f"http://127.0.0.1:{answering.port}0/", f"http://localhost:{other.port}/"]
    for url in urls:
        with pytest.raises(DicomWebError), connection.answers_of(answering.server):
            session.get(url)
    assert other.asked == []


def test_login_and_proxies_are_those_of_the_configuration(answering, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    answering.says(b"[]")
    search(answering.server)
    search(replace(answering.server, user="ü", password="p:"))
    search(replace(answering.server, token="t"))
    said = [headers.get("authorization") for _, headers in answering.asked]
    assert said == [None, "Basic " + base64.b64encode("ü:p:".encode()).decode(), "Bearer t"]


@pytest.mark.parametrize(
    ("status", "remedy"), [(401, "login"), (403, "right"), (404, "UID"), (503, "later")]
)
def test_a_refusal_is_one_sentence_without_the_servers_words(answering, status, remedy):
    answering.says(b"Doe^Jane", "text/plain", status)
    with pytest.raises(DicomWebError, match=f"status {status}; .*{remedy}") as refused:
        search(answering.server, patient_id="Doe")
    assert "Doe" not in str(refused.value)
    assert len(answering.asked) == 1


@pytest.mark.parametrize(
    "body", [b"<html>", b"{}", b'["Doe"]', b"[{}]", b'[{"0020000D": {"Value": ["../../x"]}}]']
)
def test_an_answer_that_is_no_list_of_studies_is_one_sentence(answering, body):
    answering.says(body)
    with pytest.raises(DicomWebError) as refused:
        search(answering.server)
    assert "Doe" not in str(refused.value)
    assert "../" not in str(refused.value)


def test_an_answer_that_is_too_large_is_cut_off(answering, monkeypatch):
    monkeypatch.setattr(connection, "ANSWER_BYTES", 1 << 20)
    sent = []

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/dicom+json")
        handler.end_headers()  # No length: the end is the end of the connection.
        try:
            for _ in range(1_000):
                handler.wfile.write(b" " * (1 << 18))
                sent.append(1)
        except OSError:
            pass

    answering.answer = answer
    with pytest.raises(DicomWebError, match="larger than 1 MiB"):
        search(answering.server)
    assert len(sent) < 200


def test_an_answer_that_drips_is_given_up(answering, monkeypatch):
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.0)
    answering.says(STUDIES)
    with pytest.raises(DicomWebError, match="takes longer"):
        search(answering.server)


def test_a_server_that_is_not_there_is_one_sentence(answering):
    gone = DicomWebServer("gone", "http://127.0.0.1:9/dicom-web")
    with pytest.raises(DicomWebError, match="'gone' cannot be reached"):
        search(gone)


def test_nothing_of_a_search_is_logged(answering, caplog):
    caplog.set_level(logging.DEBUG)
    answering.says(STUDIES)
    search(replace(answering.server, user="uu", password="pp"), patient_id="DOE-7")
    assert "PatientID=DOE-7" in answering.asked[0][0]
    for text in ("DOE-7", "pp", "1.2.3"):
        assert text not in caplog.text


@pytest.fixture
def encrypted(tmp_path):
    """An HTTPS server on this machine whose certificate nobody vouches for, and it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "made")])
    now = datetime.datetime.now(datetime.UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "certificate.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    both = tmp_path / "both.pem"
    both.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + pem.read_bytes()
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", str(len(STUDIES)))
            self.end_headers()
            self.wfile.write(STUDIES)

        def log_message(self, format, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # ty: ignore - a client that hangs up is wanted
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield DicomWebServer("made", f"https://127.0.0.1:{server.server_port}/x"), pem
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_certificate_counts_only_where_somebody_vouches_for_it(encrypted, monkeypatch):
    server, pem = encrypted
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))  # Not the configuration of this program.
    with pytest.raises(DicomWebError, match=r"certificate .* is not valid; .*DICOMWEB_CA"):
        search(server)
    assert [one.uid for one in search(replace(server, ca=pem)).studies] == ["1.2.3"]
