"""Ports for servers that tests start: nobody gets one that somebody else was given."""

import socket
import subprocess
import sys

import pytest

from devstack import processes
from devstack.processes import free_port


def test_a_port_is_given_once_while_the_process_lives_and_a_server_can_listen_on_it(monkeypatch: pytest.MonkeyPatch):
    port = free_port()
    monkeypatch.setattr(processes, "PORTS", [port])
    with pytest.raises(OSError, match="no port is free"):
        free_port()
    socket.create_server(("127.0.0.1", port)).close()


def test_another_process_is_not_given_it():
    port = free_port()
    ask = f"from devstack import processes; processes.PORTS = [{port}]; processes.free_port()"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=False)
    assert "OSError: no port is free" in done.stderr


def test_a_port_on_which_somebody_listens_is_not_given(monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(processes, "PORTS", [taken.getsockname()[1]])
        with pytest.raises(OSError, match="no port is free"):
            free_port()
