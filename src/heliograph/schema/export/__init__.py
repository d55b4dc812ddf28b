"""Exporters: the schemas of event classes in formats that other tools and people read.

Every exporter is a pure function from schemas to files: ``Iterable[EventSchema]`` in, ``{file name: text}`` out. It reads the
model (`heliograph.schema.model`), and neither imports event classes nor sees their annotations. Only examples need more: they
are validated, and their privacy is applied, by `heliograph.schema.read`. The same schemas give the same text, so that exported
files can be committed and compared.

- `json_schema`: JSON Schema of an event's properties. The gate compares these documents, too.
- `json_vocabulary`: the keywords of these documents that JSON Schema does not define.
- `weaver_v2`, `weaver_v1`: an OpenTelemetry Weaver registry, in its two file formats.
- `catalogue`: the content of a catalogue for people; `markdown` and `html` render it. `html` uses the files in ``templates/``.
- `example`: example values for fields, used by the catalogue and the Weaver registry.
- `weaver_content`, `weaver_attributes`, `added_attributes`, `yaml_text`: what the two Weaver exporters share.
- `formats`: the formats of ``heliograph schema export``, by name.

Everything that a class declares (briefs, notes, examples, patterns) is text. No exporter lets it become markup or code:
HTML is escaped by the template engine, Markdown by `markdown`, YAML and JSON by their libraries. Characters that are not printable
are written as escapes in all formats.

To add an export format:

1. Write a module with a function ``(Iterable[EventSchema]) -> dict[str, str]``. If it depends on the type of a field, write a
   ``match`` over `heliograph.schema.model.types.Type` with ``assert_never``, so that mypy reports a type that is added later.
2. Add the function to `formats.EXPORTERS`, and the module to the import contract "Inside the exporters" in pyproject.toml.
3. Write ``tests/schema/export/test_<module>.py``. Check the files with an independent reader of the format.
4. Add a row to the table in ``docs/schemas.md`` and run ``make docs``.
"""
