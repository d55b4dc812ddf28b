"""The configuration of Sphinx for the documentation site: ``make site``."""

import re
from typing import Any

from docutils.nodes import Element, reference
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import heliograph
from heliograph.version import __version__

project = "heliograph"
author = "the heliograph authors"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
suppress_warnings = ["misc.highlighting_failure"]  # queries of VictoriaLogs and Jaeger have no colours
html_theme = "furo"
html_title = f"heliograph {__version__}"
myst_heading_anchors = 3
default_role = "py:obj"  # docstrings write names as `Host`: a link where there is such an object, else code
add_module_names = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
maximum_signature_line_length = 80
napoleon_use_ivar = True  # the fields of a dataclass are in its signature, too
python_use_unqualified_type_names = True


def link_by_public_name(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: Element) -> reference | None:
    """Link a type to its public name: `Host` is documented as ``heliograph.Host``, and defined in ``heliograph.host.host``."""
    name = node.get("reftarget", "").rpartition(".")[2]
    if node.get("refdomain") != "py" or name not in heliograph.__all__:
        return None
    target = f"heliograph.{name}"
    if node["reftarget"] == target:
        return None
    python: Any = env.get_domain("py")
    found: reference | None = python.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, content)
    return found


texts_of_attributes: dict[str, list[str]] = {}


def keep_text(_app: Sphinx, kind: str, name: str, _value: object, _options: object, lines: list[str]) -> None:
    """Keep the text below an attribute, before napoleon takes all that is before a colon for the attribute's type."""
    if kind == "attribute":
        texts_of_attributes[name] = list(lines)


def restore_text(_app: Sphinx, kind: str, name: str, _value: object, _options: object, lines: list[str]) -> None:
    """Write the text as it was."""
    if kind == "attribute":
        lines[:] = texts_of_attributes.pop(name)


def readable_signature(
    _app: Sphinx, _kind: str, _name: str, _value: object, _options: object, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Write the parameters of a `ParamSpec` as in the source. Sphinx writes something that it cannot parse."""
    return _with_param_spec(signature), _with_param_spec(returns)


def _with_param_spec(text: str | None) -> str | None:
    if text is None:
        return None
    text = re.sub(r"\[\[~?P\], ", "[P, ", text)
    return text.replace("*args: ~typing.~P", "*args: P.args").replace("**kwargs: ~typing.~P", "**kwargs: P.kwargs")


def setup(app: Sphinx) -> None:
    """Add our own part to Sphinx."""
    app.connect("missing-reference", link_by_public_name)
    app.connect("autodoc-process-docstring", keep_text, priority=100)  # napoleon has 500
    app.connect("autodoc-process-docstring", restore_text, priority=900)
    app.connect("autodoc-process-signature", readable_signature)
