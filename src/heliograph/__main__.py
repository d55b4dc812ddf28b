"""Run the command ``heliograph`` by ``python -m heliograph``."""

from heliograph.cli.main import cli

if __name__ == "__main__":
    cli(prog_name="heliograph")
