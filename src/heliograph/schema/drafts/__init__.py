"""Drafts: generated source of event classes, as a starting point for an author.

There are two origins: recorded events (``heliograph schema infer``) and an OpenTelemetry Weaver registry (``heliograph schema
import weaver``). Each is turned into drafts, which are data (`draft`), and one module writes drafts as Python source
(`python_source`).

Names and texts from elsewhere are not trusted: a registry may come from the internet, and anybody can send an event to a
receiver. Generated source is imported later, so none of these texts may become code. Therefore:

- Names of classes and fields are built from ASCII letters, digits and underscores (`draft.class_name`, `draft.field_name`).
- Every other text is written as a Python literal (`python_source.literal`), or escaped in a docstring. No text is inserted
  in any other way, and annotations are put together from a fixed set of names and from literals.
- YAML is read with the safe loader.

An event or attribute that a class cannot express is skipped, and reported with the reason.
"""
