"""The page `/-/heliograph` of Datasette: is telemetry working, what was lost, and what do the events mean?

- `report`: all that the page shows, as data. It is the JSON of `/-/heliograph.json`.
- `views`: the routes, their permissions, and the form that requeues dead letters.
- `token_views`: the page `/-/heliograph/tokens`, on which people manage tokens.

The page is about one process and the files that it uses. What other processes of the same Datasette count is in the metrics.
"""
