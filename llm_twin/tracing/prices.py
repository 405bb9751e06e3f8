"""What an answer costs: nothing on this machine, else what the settings say of the endpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of the language model.

    Attributes:
        local: It runs on this machine, for nothing.
        input: US dollars for a million tokens that it reads; None where nobody said.
        output: US dollars for a million tokens that it writes; None where nobody said.
    """

    local: bool
    input: float | None = None
    output: float | None = None

    def cost(self, usage: Mapping[str, int]) -> float | None:
        """US dollars for an answer, None where a price is unknown: no guess is recorded.

        Args:
            usage: `prompt_tokens` and `completion_tokens`.
        """
        if self.local:
            return 0.0
        if self.input is None or self.output is None:
            return None
        read, wrote = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
        return (read * self.input + wrote * self.output) / MILLION
