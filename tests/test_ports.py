"""Ports for programs under test: free, and never those of another process."""

from __future__ import annotations

import socket
import subprocess
import sys

from backends import REPOSITORY, free_port
from backends.ports import BLOCK_SIZE, FIRST_PORT, LAST_PORT
from processes import in_child, program_environment


def test_ports_come_in_turn() -> None:
    """A port is not returned again while a program that got it is about to listen."""
    ports = [free_port() for _ in range(BLOCK_SIZE // 2)]
    assert len(set(ports)) == len(ports)
    assert FIRST_PORT <= min(ports) <= max(ports) < LAST_PORT


def test_port_that_is_in_use_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        ports = {free_port() for _ in range(3 * BLOCK_SIZE)}
        assert taken.getsockname()[1] not in ports


def test_processes_have_different_ports() -> None:
    """Another process and a forked child choose other ports than this one."""
    ask = f"from backends import free_port; print({{free_port() for _ in range({BLOCK_SIZE})}})"
    command = [sys.executable, "-c", ask]
    asked = subprocess.run(
        command, cwd=REPOSITORY, env=program_environment(), capture_output=True, text=True, check=True
    )
    ours = {free_port() for _ in range(2 * BLOCK_SIZE)}

    def is_elsewhere() -> None:
        assert free_port() not in ours

    assert ours.isdisjoint(map(int, asked.stdout.strip("{}\n").split(",")))
    assert in_child(is_elsewhere) == 0
