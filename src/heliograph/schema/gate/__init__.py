"""The gate: lock file, differences between two sets of schemas, compatibility."""
