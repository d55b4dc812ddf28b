"""heliograph in the programs of others."""
