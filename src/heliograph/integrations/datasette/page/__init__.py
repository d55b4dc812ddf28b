"""The pages `/-/heliograph` and `/-/heliograph/tokens` of Datasette.

The first one has the destinations of telemetry, its losses and failures, recent events, and the catalogue of events. On the second one, people
manage tokens.

The first page is about one process and the files that it uses. The counts of other processes of the same Datasette are in the metrics.
"""
