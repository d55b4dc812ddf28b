"""Check the arguments of public functions and classes, because Python does not.

Without a check, a value of the wrong type has no effect, or is an error in the middle of something else, later. (Settings, event classes
and plugins have checks of their own, which report all problems at once.)
"""

from __future__ import annotations

from typing import Final

from heliograph.classes import qualified_name

A_FLAG: Final = "True or False"
A_HOST: Final = "a heliograph.Host, such as configure() returns"
AN_EVENT_CLASS: Final = "an event class, such as BanUserEvent"


def check_argument(name: str, value: object, types: type | tuple[type, ...], wanted: str) -> None:
    """Check the type of an argument.

    Args:
        name: The name of the argument.
        value: Its value. It is not shown, because it may be a secret.
        types: The classes that it may be an object of. `bool` is only accepted if it is among them, and not as an `int`.
        wanted: The values that it may have, with an example, for people.

    Raises:
        TypeError: It is something else.
    """
    allowed = types if isinstance(types, tuple) else (types,)
    is_flag = isinstance(value, bool) and bool not in allowed
    if is_flag or not isinstance(value, allowed):
        raise wrong_argument(name, value, wanted)


def wrong_argument(name: str, value: object, wanted: str) -> TypeError:
    """Return the error for an argument.

    Args:
        name: The name of the argument.
        value: Its value. It is not shown.
        wanted: The values that it may have, with an example, for people.
    """
    kind = (
        "None"
        if value is None
        else f"{'the class' if isinstance(value, type) else 'an object of'} {qualified_name(value)}"
    )
    return TypeError(f"the argument `{name}` must be {wanted}, not {kind}")
