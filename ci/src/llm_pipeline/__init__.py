"""CI as code for Python projects: one graph of checks, run as processes or in containers."""
