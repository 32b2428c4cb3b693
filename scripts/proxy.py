"""HAProxy before several server processes: its configuration, made for this machine or several.

    python -m scripts.proxy --listen 0.0.0.0:8501 --worker 10.0.0.2:8501 --worker 10.0.0.3:8501

prints a configuration for workers on other machines; `scripts.workers` uses one for its own.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from scripts.install import ROOT, SetupError

HEALTH: Final = "/healthz"
"""Path that HAProxy itself answers: 200 while a worker serves, else 503."""
WORKER_HEALTH: Final = "/_stcore/health"
_BASE_OPTION: Final = "--server.baseUrlPath"
_SBIN: Final = "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"
"""Debian's package installs there, which is not in every user's PATH."""
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]")
_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*")
CONNECTIONS: Final = 1024
"""Connections from one address: a class of a hundred behind one router has six or seven each."""
REQUESTS: Final = 20_000
"""Requests from one address in 10 seconds; the workers' own limits are narrower."""
_TEMPLATE: Final = """\
global
    maxconn 4096
defaults
    mode http
    timeout connect 5s
    timeout client 2m
    timeout server 5m
    timeout queue 30s
    timeout check 10s
    timeout http-request 30s
    timeout http-keep-alive 30s
    # A page is one WebSocket for as long as it is open; Streamlit sends a ping every 30 s.
    timeout tunnel 1h
    # A worker closes idle connections at a moment that HAProxy does not know.
    option http-server-close
    # A request to a worker that has just ended goes to another one; uploads are sent only once.
    retries 3
    option redispatch 1
    retry-on conn-failure empty-response
    http-error status 503 content-type text/plain string "The dashboard is not running at the \
moment; reload the page in a few seconds."
frontend public
    bind {public}
    # A flood from one address never reaches a worker. Behind another proxy, whose header names the
    # address, this machine is the sender of all, and the workers count.
    stick-table type ipv6 size 100k expire 60s store http_req_rate(10s),conn_cur
    acl own_machine src 127.0.0.0/8 ::1
    tcp-request connection track-sc0 src
    # What a client says of its address is replaced; the workers count by it.
    http-request set-header X-Forwarded-For %[src] if !own_machine
    http-request return status 429 content-type text/plain hdr Retry-After 10 string \
"Too many requests from your address; try again in ten seconds." \
if !own_machine {{ sc0_http_req_rate gt {rate} }}
    http-request return status 429 content-type text/plain hdr Retry-After 10 string \
"Too many connections from your address; close some pages." \
if !own_machine {{ sc0_conn_cur gt {connections} }}
    acl asks_health path {health}
    http-request return status 200 content-type text/plain string "ok" \
if asks_health {{ nbsrv(workers) gt 0 }}
    http-request return status 503 content-type text/plain string "no worker" if asks_health
    default_backend workers
backend workers
    balance leastconn
    # Pages, uploads, pixels and the login of a browser live in one process.
    cookie {cookie} insert indirect nocache httponly attr SameSite=Lax
    http-request disable-l7-retry unless METH_GET
    option httpchk
    http-check send meth GET uri {worker_health} ver HTTP/1.1 hdr Host localhost
    http-check expect status 200
    # A busy worker answers late; only one that refuses the connection is down within two seconds.
    default-server check inter 2s fastinter 500ms downinter 500ms fall 3 rise 1
{servers}
"""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host name or address, IPv6 in brackets, and a TCP port."""

    host: str
    port: int

    def __post_init__(self) -> None:
        if not _HOST.fullmatch(self.host):
            raise SetupError(f"{self.host!r} is not a host name or an address.")
        if not 1 <= self.port <= 65535:
            raise SetupError(f"{self.port} is not a port; give a number from 1 to 65535.")

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """The endpoint in `host:port`.

        Raises:
            SetupError: The text has another form.
        """
        host, colon, port = text.rpartition(":")
        if not colon or not port.isascii() or not port.isdecimal():
            raise SetupError(f"{text!r} is not host:port, as in 10.0.0.2:8501.")
        return cls(host, int(port[:6]))


def haproxy_config(public: Endpoint, workers: Sequence[Endpoint], base_path: str = "") -> str:
    """Configuration that distributes browsers over workers.

    A browser stays with its worker by a cookie, whose name holds the public port: cookies do not
    distinguish ports, and two groups may run on one machine.

    Args:
        public: Where browsers connect.
        workers: Where the workers listen; their order names them w1, w2 and so on.
        base_path: Path below which the workers serve: "" or "/lab".

    Raises:
        SetupError: There is no worker, two are the same, or the base path cannot be in a URL.
    """
    if not workers or len(set(workers)) < len(workers) or public in workers:
        raise SetupError("Give at least one worker, each with an address of its own.")
    if not _PATH.fullmatch(base_path):
        raise SetupError(f"The base path {base_path!r} holds more than letters, digits, - . _ ~ /.")
    return _TEMPLATE.format(
        public=public,
        rate=REQUESTS,
        connections=CONNECTIONS,
        health=f"{HEALTH} {base_path}{HEALTH}" if base_path else HEALTH,
        cookie=f"cspine_worker_{public.port}",
        worker_health=base_path + WORKER_HEALTH,
        servers="\n".join(
            f"    server w{number} {worker} cookie w{number}"
            for number, worker in enumerate(workers, 1)
        ),
    )


def base_path(options: Sequence[str] = (), root: Path = ROOT) -> str:
    """Path below which workers will serve, as "" or "/lab": from Streamlit's options and settings.

    Args:
        options: Options of Streamlit on the command line, which count first.
        root: Folder of the program.
    """
    named = os.environ.get("STREAMLIT_SERVER_BASE_URL_PATH")
    for option, value in pairwise([*options, ""]):
        if option == _BASE_OPTION:
            named = value
        elif option.startswith(f"{_BASE_OPTION}="):
            named = option.partition("=")[2]
    config = root / ".streamlit" / "config.toml"
    if named is None and config.is_file():
        named = tomllib.loads(config.read_text()).get("server", {}).get("baseUrlPath")
    return _as_path(named or "")


def _as_path(text: str) -> str:
    return f"/{text.strip('/')}" if text.strip("/") else ""


def find_haproxy() -> str:
    """Path of the program: HAPROXY if set, else the one that is installed.

    Raises:
        SetupError: It is not installed.
    """
    named = os.environ.get("HAPROXY") or "haproxy"
    found = shutil.which(named) or shutil.which(named, path=_SBIN)
    if found is None:
        raise SetupError(
            f"Several workers need HAProxy, but {named!r} was not found; install it "
            "(apt-get install haproxy), name it in HAPROXY, or leave WORKERS out."
        )
    return found


def check_config(haproxy: str, config: Path) -> None:
    """Have HAProxy check a configuration.

    Raises:
        SetupError: HAProxy refuses it.
    """
    done = subprocess.run(
        [haproxy, "-c", "-f", str(config)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "[ALERT]" in line] or ["no message"]
        raise SetupError(f"HAProxy refuses its configuration ({lines[0].strip()}); 2.4 is needed.")


def main() -> int:
    """Print a configuration; 2 if the arguments are wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    parser.add_argument("--worker", required=True, action="append", metavar="HOST:PORT")
    parser.add_argument("--base-path", default="", help="server.baseUrlPath of the workers")
    arguments = parser.parse_args()
    try:
        workers = [Endpoint.parse(text) for text in arguments.worker]
        config = haproxy_config(
            Endpoint.parse(arguments.listen), workers, _as_path(arguments.base_path)
        )
    except SetupError as error:
        print(error, file=sys.stderr)
        return 2
    print(config, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
