"""The demonstration that ``heliograph demo`` runs: a small forum, its telemetry, and the code that made it.

The forum runs in processes of its own, so that it exports over the network and can be killed as a real program. This process
runs the receiver. The chapters print the source of the very functions that the forum ran, beside what has arrived of them.
"""
