"""Creating and verifying API tokens, by backends that plugins provide."""
