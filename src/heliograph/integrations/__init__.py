"""heliograph in the programs and frameworks of others."""
