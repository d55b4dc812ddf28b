"""The page `/-/heliograph` of Datasette: does telemetry arrive, what was lost, what has happened, and what does it mean?

- `report`: all that the page shows, as data. It is the JSON of `/-/heliograph.json`.
- `recent`, `chart`: the part of it about recent events, and their charts.
- `views`: the routes, their permissions, and the form that requeues dead letters.
- `token_views`: the page `/-/heliograph/tokens`, on which people manage tokens.
- `navigation`: the ways to both pages.

The page is about one process and the files that it uses. What other processes of the same Datasette count is in the metrics.
"""
