"""Subcommands of `llm-twin`; each is imported when it is called."""
