"""Exporters: the schemas of event classes in formats that other tools and people read.

Every exporter is a pure function from schemas to files: ``Iterable[EventSchema]`` in, ``{file name: text}`` out. It reads the
model (`heliograph.schema.model`), and neither imports event classes nor sees their annotations. Only examples need more: they
are validated, and their privacy is applied, by `heliograph.schema.read`. The same schemas give the same text, so that exported
files can be committed and compared.

Everything that a class declares (briefs, notes, examples, patterns) is text. No exporter lets it become markup or code:
HTML is escaped by the template engine, Markdown by `markdown`, YAML and JSON by their libraries. Characters that are not printable
are written as escapes in all formats.

CONTRIBUTING.md says, step by step, how to add an export format.
"""
