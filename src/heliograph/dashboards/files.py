"""Write all dashboards as texts of JSON files."""

from __future__ import annotations

from collections.abc import Sequence

from heliograph.dashboards.backends import Backends
from heliograph.dashboards.catalogue import catalogue_dashboard, catalogue_uid
from heliograph.dashboards.delivery import UID as DELIVERY
from heliograph.dashboards.delivery import delivery_dashboard
from heliograph.dashboards.events import UID as EVENTS
from heliograph.dashboards.events import events_dashboard
from heliograph.dashboards.tokens import UID as TOKENS
from heliograph.dashboards.tokens import tokens_dashboard
from heliograph.schema.model.event import EventSchema


def dashboard_files(schemas: Sequence[EventSchema], backends: Backends, name: str | None = None) -> dict[str, str]:
    """Return the dashboards for the events of these schemas: the texts, by file name.

    Args:
        schemas: The schemas.
        backends: The stores that the dashboards query.
        name: The name of the catalogue, if Grafana has several.
    """
    return {
        f"{EVENTS}.json": events_dashboard(backends),
        f"{TOKENS}.json": tokens_dashboard(backends),
        f"{DELIVERY}.json": delivery_dashboard(backends),
        f"{catalogue_uid(name)}.json": catalogue_dashboard(schemas, backends, name),
    }
