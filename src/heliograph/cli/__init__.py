"""The command line ``heliograph``: one module per command, assembled in `heliograph.cli.main`.

Commands are thin: they parse options, call the package, and print. `heliograph.cli.event_classes` loads the event classes that
several commands take as arguments. ``docs/cli.md`` is generated from the commands' help.
"""
