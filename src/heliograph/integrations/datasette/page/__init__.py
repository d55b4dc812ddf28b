"""The page `/-/heliograph` of Datasette: the destinations of telemetry, its losses and failures, recent events, and the catalogue of events.

- `report`: everything that the page shows, as data. It is also the JSON of `/-/heliograph.json`.
- `recent`, `chart`: the part of it about recent events, and their charts.
- `views`: the routes, their permissions, and the form that requeues dead letters.
- `token_views`: the page `/-/heliograph/tokens`, on which people manage tokens.
- `navigation`: the entry in Datasette's menu, and the links between both pages.

The page is about one process and the files that it uses. The counts of other processes of the same Datasette are in the metrics.
"""
