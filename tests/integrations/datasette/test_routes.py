"""The route of a path is the regular expression that Datasette has for it."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable
from typing import Any

import pytest

from heliograph.integrations.datasette.routes import Routes

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("path", "other"), [("/data/one", "/data/two"), ("/-/versions", "/-/versions.json"), ("/data", "/fixtures")]
)
async def test_paths_of_one_page_have_one_route(instances: Callable[..., Any], path: str, other: str) -> None:
    """The names in a path are not in its route: there are few of these."""
    routes = Routes(await instances())
    found = routes.find(path)

    assert found is not None
    assert found == routes.find(other)


async def test_path_without_a_route_has_none(instances: Callable[..., Any]) -> None:
    """Datasette answers such a request itself."""
    assert Routes(await instances()).find("no/path/begins/without/a/slash") is None


class Instance:
    """The part of a Datasette that has the routes."""

    def __init__(self) -> None:
        self.calls = 0

    def _routes(self) -> list[tuple[re.Pattern[str], object]]:
        self.calls += 1
        return [(re.compile("^/one$"), None)]


def test_routes_are_created_once() -> None:
    """Datasette creates a list of some dozens each time, and the routes do not change after its start."""
    instance = Instance()
    routes = Routes(instance)  # type: ignore[arg-type]

    assert [routes.find("/one"), routes.find("/two"), instance.calls] == ["^/one$", None, 1]


def test_routes_do_not_keep_their_datasette() -> None:
    """A request that ends after its Datasette has no route."""
    routes = Routes(Instance())  # type: ignore[arg-type]
    gc.collect()

    assert routes.find("/one") is None
