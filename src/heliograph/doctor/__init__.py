"""Examine the set-up of telemetry, and find out if the backend accepts and stores it, for ``heliograph doctor``.

`examination` runs everything. It reads the settings and the environment as `heliograph.configure` and the Datasette plugin do
(`effective`, `targets`, `config_file`), and sends a test record of each signal by the protocol of its endpoint (`records`). It explains
each failure (`diagnosis`), asks backends for the record (`arrival`, `backends`, `query_api`), and returns a `report`. Each problem is a
`Finding`, whose `Kind` has a stable id (`findings`).

No text of this package contains the value of a header, a password, or the query of a URL (`secrecy`).
"""
