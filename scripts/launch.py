"""`make run`: set up what is missing, prepare the embedded default, open the dashboard."""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
from pathlib import Path

from scripts.install import ROOT, SetupError, install, venv_python
from scripts.proxy import Endpoint, find_haproxy
from scripts.workers import WorkerGroup, parse_workers, serve

LOOPBACK = ("localhost", "127.0.0.1", "::1")
EVERYWHERE = ("0.0.0.0", "::")


def parse_port(text: str) -> int:
    """A TCP port from a command line.

    Raises:
        SetupError: Not a number from 1 to 65535.
    """
    if not text.isdecimal() or len(text) > 5 or not 1 <= int(text) <= 65535:
        raise SetupError(f"PORT is {text!r}; give a number from 1 to 65535: make run PORT=8502")
    return int(text)


def check_port(address: str, port: int) -> None:
    """Check that the dashboard can listen on the port.

    Raises:
        SetupError: The port is taken, reserved or the address is not this machine's.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the server does: a port still draining closed connections counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            other = port + 1 if 1024 <= port < 65535 else 8502
            raise SetupError(
                f"Cannot listen on {address}:{port} ({error.strerror}); stop the program that "
                f"uses it or choose another port: make run PORT={other}"
            ) from error


def check_data_root() -> bool:
    """Whether RSNA_ROOT names a data set.

    Raises:
        SetupError: RSNA_ROOT is not a folder.
    """
    data_root = os.environ.get("RSNA_ROOT", "")
    if not data_root:
        # Empty means unset, also for the processes started from here.
        os.environ.pop("RSNA_ROOT", None)
        return False
    if not Path(data_root).is_dir():
        raise SetupError(
            f"RSNA_ROOT is {data_root}, which is not a folder; give the folder that holds "
            "train.csv and train_images, or leave RSNA_ROOT out for synthetic studies."
        )
    return True


def allowed_hosts(address: str) -> list[str]:
    """Accepted host names: this machine's, the address's and those of ALLOWED_HOSTS.

    Raises:
        SetupError: An entry of ALLOWED_HOSTS holds more than a name.
    """
    hosts = [*LOOPBACK]
    if address in EVERYWHERE:
        hosts += [socket.gethostname(), socket.getfqdn()]
    elif address not in LOOPBACK:
        hosts.append(address)
    for name in os.environ.get("ALLOWED_HOSTS", "").replace(",", " ").split():
        if "/" in name or name.count(":") == 1:
            raise SetupError(
                f"ALLOWED_HOSTS holds {name!r}; give names without scheme, port or path: "
                "ALLOWED_HOSTS=lab.example.org"
            )
        hosts.append(name)
    return list(dict.fromkeys(hosts))


def check_visitors(address: str) -> None:
    """Check early what the server checks at its start: that it asks for a login, or needs none.

    Raises:
        SetupError: Others could reach it, there is no secrets file, and DASHBOARD_OPEN is not set.
    """
    others = [host for host in allowed_hosts(address) if host not in LOOPBACK]
    secrets = [folder / ".streamlit" / "secrets.toml" for folder in (ROOT, Path.home())]
    if others and not os.environ.get("DASHBOARD_OPEN") and not any(map(Path.exists, secrets)):
        raise SetupError(
            f"Others could reach the dashboard ({others[0]}) without a login; write [auth] to "
            ".streamlit/secrets.toml (docs/deployment.md shows it), or let every visitor view: "
            "DASHBOARD_OPEN=1 make run"
        )


def dashboard_command(address: str, port: int) -> list[str]:
    """The command that serves the dashboard.

    Raises:
        SetupError: ALLOWED_HOSTS is wrong.
    """
    command = [str(venv_python()), "-m", "streamlit", "run", "streamlit_app.py"]
    command += ["--server.address", address, "--server.port", str(port)]
    return command + server_options(address)


def server_options(address: str) -> list[str]:
    """Options of a server that browsers reach at an address.

    Raises:
        SetupError: ALLOWED_HOSTS is wrong.
    """
    options: list[str] = []
    for host in allowed_hosts(address):
        options += ["--server.allowedHosts", host]
    if limit := os.environ.get("MAX_UPLOAD_MIB"):
        options += ["--server.maxUploadSize", limit]
    return options


def check_ports(address: str, port: int, workers: int) -> None:
    """Check the port of the dashboard and those of its workers, as `check_port` does."""
    check_port(address, port)
    if workers > 1:
        for worker in WorkerGroup(Endpoint(address, port), workers).workers:
            check_port(worker.host, worker.port)


def launch(address: str, port: int, workers: int = 1) -> int:
    """Replace this process by the dashboard, or supervise its workers; return the exit status.

    Raises:
        SetupError: Something on this machine prevents it.
    """
    own_data = check_data_root()
    check_visitors(address)
    # Before the long installation, and again after it.
    check_ports(address, port, workers)
    if workers > 1:
        find_haproxy()
    install(dev=False)
    os.chdir(ROOT)
    if not own_data:
        demo = subprocess.run([str(venv_python()), "-m", "core", "demo"], check=False)
        if demo.returncode != 0:
            return demo.returncode
    check_ports(address, port, workers)
    sys.stdout.flush()
    if workers > 1:
        public = Endpoint(address, port)
        return serve(WorkerGroup(public, workers, str(venv_python()), server_options(address)))
    command = dashboard_command(address, port)
    return os.execv(command[0], command)


def main() -> int:
    """Run the dashboard; returns the exit status of what failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", default="8501")
    parser.add_argument("--workers", default="1")
    given = parser.parse_args()
    try:
        return launch(given.address, parse_port(given.port), parse_workers(given.workers))
    except SetupError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"The dashboard could not start: {error.strerror or error}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted; `make run` continues where it stopped.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
