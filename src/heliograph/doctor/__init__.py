"""``heliograph doctor``: is telemetry set up, and does the backend accept it?

It reads the settings and the environment as `heliograph.configure` and the Datasette plugin do, and sends a test record of each signal
by the protocol of its endpoint. Each problem is a `Finding`, whose `Kind` has a stable id.

No text of this package contains the value of a header, a password, or the query of a URL.
"""
