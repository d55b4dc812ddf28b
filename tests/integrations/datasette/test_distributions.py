"""Events of installed plugins have the name of their distribution as namespace."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace

import pytest
from datasette.events import Event
from datasette.plugins import pm

from heliograph.integrations.datasette.distributions import namespace_of
from registrar import Registrar

Install = Callable[[str, str, str], type]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a distribution with a plugin, and returns an event class in one of its modules."""

    def install(distribution: str, plugin: str, module: str) -> type:
        found = SimpleNamespace(metadata={"name": distribution})
        monkeypatch.setattr(pm, "_plugin_distinfo", [*pm._plugin_distinfo, (ModuleType(plugin), found)])
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
        return event_class_in(module)

    return install


def event_class_in(module: str) -> type:
    @dataclass
    class RanEvent(Event):
        name = "ran"
        job: str

    RanEvent.__module__ = module
    return RanEvent


@pytest.mark.parametrize(
    ("distribution", "plugin", "module", "namespace"),
    [
        ("datasette-cron", "datasette_cron", "datasette_cron", "datasette_cron"),
        ("datasette-cron", "datasette_cron", "datasette_cron.events", "datasette_cron"),
        ("Acme.Cron__Jobs", "acme.cron.plugin", "acme.cron.events", "acme_cron_jobs"),
        ("3d-view", "view3d", "view3d", "app"),
        ("heliograph", "elsewhere", "elsewhere", "app"),
        ("datasette", "elsewhere", "elsewhere", "app"),
        ("db", "elsewhere", "elsewhere", "app"),
        ("datasette-cron", "datasette_cron", "datasette_cronjobs", "app"),
    ],
)
def test_namespace_is_the_normal_name_of_the_distribution(
    install: Install, distribution: str, plugin: str, module: str, namespace: str
) -> None:
    """The default applies if the name is illegal or reserved, and to a class of another package."""
    assert namespace_of(install(distribution, plugin, module), "app") == namespace


def test_parts_of_a_namespace_package_are_distinguished(install: Install) -> None:
    """The longest common path decides; a module that is as near to both belongs to none of them."""
    install("acme-audit", "acme.audit", "acme.audit.events")
    cron = install("acme-cron", "acme.cron", "acme.cron.events")

    assert namespace_of(cron, "app") == "acme_cron"
    assert namespace_of(install("acme-cron", "acme.cron", "acme.shared"), "app") == "app"


def test_class_of_a_file_in_plugins_dir_has_the_default(install: Install) -> None:
    """Datasette does not put such a module into `sys.modules`, even if a package has the same name."""
    install("datasette-cron", "datasette_cron", "datasette_cron")

    assert namespace_of(event_class_in("datasette_cron.py"), "app") == "app"


@pytest.mark.anyio
async def test_event_of_an_installed_plugin(instances, telemetry, install: Install) -> None:  # type: ignore[no-untyped-def]
    """The namespace is in its name and in those of its attributes; an event without a schema has it, too."""
    ran = install("datasette-cron", "datasette_cron", "datasette_cron")

    @dataclass
    class Odd(Event):
        name = "Odd one"
        job: str

    Odd.__module__ = "datasette_cron"

    instance = await instances(Registrar(ran, Odd))
    await instance.track_event(ran(actor=None, job="a"))
    await instance.track_event(Odd(actor=None, job="b"))

    assert [(name, min(attributes)) for name, attributes in telemetry.events] == [
        ("datasette_cron.ran", "datasette_cron.ran.job"),
        ("datasette_cron.odd_one", "datasette_cron.odd_one.job"),
    ]


def test_plugins_without_a_name_are_ignored(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin may be an object, which has no module of its own, and a broken distribution has no name."""
    found = SimpleNamespace(metadata={"name": None})
    nameless = [(object(), SimpleNamespace(metadata={"name": "datasette-odd"})), (ModuleType("cron"), found)]
    monkeypatch.setattr(pm, "_plugin_distinfo", [*pm._plugin_distinfo, *nameless])

    assert namespace_of(install("datasette-cron", "datasette_cron", "cron"), "app") == "app"
