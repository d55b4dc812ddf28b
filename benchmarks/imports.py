"""Measure the CPU time of importing heliograph, compared with importing OpenTelemetry's SDK for traces and logs.

Each statement runs in processes of its own, in turns, and the median counts. The time of an empty program is subtracted. Bytecode is
cached before the measurement.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

GOAL = 1.74
"""Before `Host` and its kind were imported when needed, it was 2.9; the goal was 0.6 of that."""
ROUNDS = 9

EMPTY = "pass"
SDK = "import opentelemetry.sdk.trace, opentelemetry.sdk._logs"
STATEMENTS = {
    "import heliograph": "event classes and hooks",
    "from heliograph import Host": "a program with a host",
}


def cpu_seconds(statement: str, cache: str) -> float:
    """Return the CPU time of a process that runs a statement, in seconds."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen([sys.executable, "-c", statement], env={**env, "PYTHONPYCACHEPREFIX": cache})  # noqa: S603 — our own
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime


def main() -> int:
    """Print the ratios. Return 1 if the goal was missed."""
    times: dict[str, list[float]] = {statement: [] for statement in (EMPTY, SDK, *STATEMENTS)}
    with tempfile.TemporaryDirectory() as cache:
        for statement in times:
            cpu_seconds(statement, cache)
        for _ in range(ROUNDS):
            for statement, found in times.items():
                found.append(cpu_seconds(statement, cache))
    empty, sdk = (statistics.median(times[statement]) for statement in (EMPTY, SDK))
    ratios = {statement: (statistics.median(times[statement]) - empty) / (sdk - empty) for statement in STATEMENTS}
    for statement, ratio in ratios.items():
        goal = f" (goal: at most {GOAL})" if statement == "import heliograph" else ""
        print(f"{statement} ({STATEMENTS[statement]}), compared with the SDK's traces and logs: {ratio:.2f} ×{goal}")
    return int(ratios["import heliograph"] > GOAL)


if __name__ == "__main__":
    sys.exit(main())
