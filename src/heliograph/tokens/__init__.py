"""Create and verify API tokens with the token handlers that plugins provide, and record each operation."""
