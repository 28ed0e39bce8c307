"""Speed, always as a ratio to a named alternative in the same run, or against a limit."""
