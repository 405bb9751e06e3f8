"""An LLM twin: it answers from its author's writing and in that voice."""

from typing import Final

__version__: Final = "0.1.0"
