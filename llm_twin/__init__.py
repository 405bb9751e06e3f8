"""An LLM twin: it answers from its author's writing and in that voice."""

__version__ = "0.1.0"
