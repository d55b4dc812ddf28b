"""The message of an event class is parsed once, and filled from attributes."""

from __future__ import annotations

import pytest

from heliograph.schema.model.message import MessageTemplate, parse_message

NAMES = {"user": "app.ban.user", "reason": "moderation.reason"}


def test_message_refers_to_attributes() -> None:
    """Fields become their attributes, keys go below, and keys of the actor have their standard names."""
    template = parse_message("{actor[id]} banned {user[name][first]}: {reason}", NAMES)

    assert template == MessageTemplate(
        parts=(("", "user.id"), (" banned ", "app.ban.user.name.first"), (": ", "moderation.reason"))
    )
    assert parse_message("{actor[team][id]}", NAMES).parts == (("", "heliograph.actor.team.id"),)


def test_render_shows_attributes_or_a_question_mark() -> None:
    """A missing attribute is no error, and a value is not parsed as a template."""
    template = parse_message("{user}: {reason}", NAMES)

    assert template.render({"app.ban.user": "{reason}"}) == "{reason}: ?"
    assert template.render({"app.ban.user": 0, "moderation.reason": ""}) == "0: "


def test_rendered_body_is_one_short_line() -> None:
    """Control characters are escaped, and the line is cut."""
    template = parse_message("{user}", NAMES)

    assert template.render({"app.ban.user": "a\nb"}) == "a\\nb"
    assert template.render({"app.ban.user": "x" * 1000}) == "x" * 256 + "…"


@pytest.mark.parametrize(
    ("message", "template"),
    [("{user}", "{app.ban.user}"), ("{{x}} {reason}!", "{{x}} {moderation.reason}!"), ("text", "text"), ("", "")],
)
def test_template_names_attributes(message: str, template: str) -> None:
    """Readers without the class see names of attributes, and doubled braces stay doubled."""
    assert parse_message(message, NAMES).template == template


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("{other}", "there is no field 'other'; use one of user, reason, actor[key]"),
        ("{actor}", "there is no field 'actor'"),
        ("{}", "is not a field or a key"),
        ("{user.name}", "is not a field or a key"),
        ("{user!r}", "{user!r} has a format, which a message cannot have; write {user}"),
        ("{user:>3}", "{user:>3} has a format, which a message cannot have; write {user}"),
        ("{actor[id]!s:5}", "{actor[id]!s:5} has a format, which a message cannot have; write {actor[id]}"),
        ("{user[]}", "is not a field or a key"),
        ("{user", "expected '}'"),
    ],
)
def test_invalid_message(message: str, problem: str) -> None:
    """The error names the part that cannot be used."""
    with pytest.raises(ValueError, match=r".") as caught:
        parse_message(message, NAMES)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("attributes", "body"),
    [
        ({}, "somebody (somebody) of ? did 1"),
        ({"user.id": "ada"}, "ada (somebody) of ? did 1"),
        ({"user.hash": "h", "user.name": "Ada", "heliograph.actor.team": "x"}, "h (Ada) of x did 1"),
    ],
)
def test_body_without_an_actor(attributes: dict[str, str], body: str) -> None:
    """An actor who is not known, or whose attributes are not exported, is somebody; a hash is in place of its id."""
    template = parse_message("{actor[id]} ({actor[name]}) of {actor[team]} did {n}", {"n": "app.did.n"})

    assert template.render({**attributes, "app.did.n": 1}) == body
