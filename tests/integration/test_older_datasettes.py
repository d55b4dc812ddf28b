"""In real releases of Datasette that are too old, the plugin does nothing, and says so once."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from backends import REPOSITORY, free_port
from packages import install_apart
from processes import clean_environment, run, serving

TOO_OLD = ("0.65.1", "1.0a19", "1.0a35", "1.0a40")
"""The last release, and pre-releases: without token handlers, without `TokenInvalid`, and the last one that is too old."""
DATASETTE = (sys.executable, "-S", "-m", "datasette")
"""The command, without the packages of the environment of the tests."""


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with heliograph, and all that it and older versions of Datasette need, in the versions that CI pins."""
    directory = tmp_path_factory.mktemp("libraries")
    pinned = (REPOSITORY / "constraints" / "newest.txt").read_text().splitlines()
    constraints = directory / "constraints.txt"
    constraints.write_text("\n".join(line for line in pinned if not line.startswith("datasette==")))
    # Later versions of setuptools lack `pkg_resources`, which 0.65 imports. The others are needed by the alphas.
    more = ("setuptools==80.9.0", "asyncinject==0.7", "httpx2==2.14.0", "pydantic", "sqlite-utils==4.2.1")
    install_apart(directory, "--constraint", str(constraints), str(REPOSITORY), "datasette==0.65.1", *more)
    return directory


@pytest.fixture(scope="module", params=TOO_OLD)
def old(
    request: pytest.FixtureRequest, libraries: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, str]]:
    """An older version of Datasette, and the environment of a program that finds it, with heliograph as its only plugin."""
    directory = tmp_path_factory.mktemp("datasette")
    install_apart(directory, "--no-deps", f"datasette=={request.param}")
    return request.param, clean_environment(
        PYTHONWARNINGS="ignore", PYTHONPATH=os.pathsep.join([str(directory), str(libraries)])
    )


def sentence(version: str) -> str:
    return (
        f"heliograph does nothing: Datasette 1.0a41 or later is needed, and {version} is installed; "
        "run: pip install 'heliograph[datasette]'\n"
    )


def test_command_of_an_older_datasette(old: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    """A command works, and has one sentence of ours in its error output, although the environment asks for export."""
    version, environment = old
    asking = {**environment, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "HELIOGRAPH_VALIDATION": "wrong"}

    ended = run([*DATASETTE, "--version"], cwd=tmp_path, env=asking)

    assert (ended.returncode, ended.stdout.split()[-1], ended.stderr) == (0, version, sentence(version))


def test_server_of_an_older_datasette(old: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    """Requests are answered. The plugin has no hooks, and the log has one sentence of ours."""
    version, environment = old
    port = free_port()
    command = [*DATASETTE, "serve", "--memory", "--port", str(port)]
    with serving(command, port=port, log=tmp_path / "log", env=environment, cwd=tmp_path) as server:
        assert server.get("/-/versions.json").json["datasette"]["version"] == version
        listed = server.get("/-/plugins.json").json
        assert server.output().startswith(sentence(version))
        assert server.output().count("heliograph does nothing") == 1

    plugins = listed["plugins"] if isinstance(listed, dict) else listed
    assert [(each["name"], each["hooks"]) for each in plugins] == [("heliograph", [])]


@pytest.mark.parametrize("old", ["0.65.1"], indirect=True)
def test_commands_on_schemas_name_the_version(old: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    """`heliograph schema` cannot read the events of an older Datasette, and names the version that it needs."""
    version, environment = old

    ended = run(
        [sys.executable, "-S", "-m", "heliograph", "schema", "lock", "datasette"], cwd=tmp_path, env=environment
    )

    assert ended.returncode == 2
    assert f"Error: datasette: Datasette 1.0a41 or later is needed, and {version} is installed" in ended.stderr
    assert "Traceback" not in ended.stderr
