"""The demonstration that ``heliograph demo`` runs: a small forum, its code, and the telemetry that arrives from it.

The forum runs in processes of its own, so that it exports over the network and can be killed like a real program. This process
runs the receiver. Each chapter has the source of functions that the forum ran, and the telemetry that they caused.
"""
