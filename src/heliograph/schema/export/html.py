"""Write the catalogue of events as one self-contained HTML page, which loads nothing and works as a local file.

Texts of event classes cannot become markup: the template engine escapes every value. As a second barrier, the page has a
Content-Security-Policy that permits one script and one style sheet, by the digests of their text, and no other resource.
Characters that are not printable are written as escapes: a reader would not see them, and some reverse the text around them.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from importlib.resources import files
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from heliograph.schema.export.catalogue import LAYOUT, catalogue
from heliograph.schema.model.event import EventSchema
from heliograph.values.text import escape_unprintable
from heliograph.version import __version__

_PACKAGE: Final = "heliograph.schema.export"


def html(schemas: Iterable[EventSchema]) -> dict[str, str]:
    """Return the page, by its file name."""
    environment = Environment(
        loader=PackageLoader(_PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = _asset("catalogue.css"), _asset("catalogue.js")
    page = environment.get_template("catalogue.html").render(
        entries=catalogue(schemas),
        policy=f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'",
        style=Markup(style),  # noqa: S704 — our own files, not texts of classes
        script=Markup(script),  # noqa: S704
        version=__version__,
    )
    return {"index.html": escape_unprintable(page, keep=LAYOUT) + "\n"}


def _asset(name: str) -> str:
    return (files(_PACKAGE) / "templates" / name).read_text(encoding="utf-8").strip()


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
