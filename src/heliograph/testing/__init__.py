"""Tools for the tests of programs and plugins that track events.

They see events and token operations before any OpenTelemetry provider does. A test needs no provider, no exporter and no server,
and OpenTelemetry's global providers stay as they are.

>>> from dataclasses import dataclass
>>> from heliograph import Event, Host
>>> from heliograph.testing import capture
>>> @dataclass
... class BanUserEvent(Event):
...     name = "ban-user"
...     username: str
>>> host = Host(events=[BanUserEvent])
>>> with capture(host) as captured:
...     host.track(BanUserEvent(username="cleverbot"))
>>> captured.assert_tracked(BanUserEvent, username="cleverbot").attributes
{'app.ban_user.username': 'cleverbot', 'log.record.uid': '00000000-0000-7000-8000-000000000001'}

With pytest, the fixture ``heliograph_events`` is a capture of all hosts for the duration of a test.
"""

from heliograph.telemetry.observers import TokenSpan, TrackedEvent
from heliograph.testing.capture import Captured, capture
from heliograph.testing.conformance import assert_conforms, problems_of

__all__ = ["Captured", "TokenSpan", "TrackedEvent", "assert_conforms", "capture", "problems_of"]
