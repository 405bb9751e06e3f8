"""What the routes share."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_twin.service.limits import Queue
from llm_twin.service.metrics import Metrics

if TYPE_CHECKING:
    from llm_twin.masking import Masker
    from llm_twin.service.settings import ServiceSettings
    from llm_twin.tracing.tracer import Tracer
    from llm_twin.twin import Twin


@dataclass
class Service:
    """The twin and what is around it.

    Attributes:
        settings: The service's settings.
        twin: What answers.
        tracer: What keeps a record of it.
        masker: Takes secrets and personal data out of what is told or logged.
        queue: Whose turn it is.
        metrics: What Prometheus reads.
        created: When it started, in seconds since 1970; the model's age for OpenAI's clients.
        draining: Set where it is about to stop, and takes no more questions.
    """

    settings: "ServiceSettings"
    twin: "Twin"
    tracer: "Tracer"
    masker: "Masker"
    queue: Queue = field(init=False)
    metrics: Metrics = field(init=False)
    created: int = field(default_factory=lambda: int(time.time()))
    draining: bool = False

    def __post_init__(self) -> None:
        """Make what the settings describe."""
        queue = Queue(self.settings.concurrency, self.settings.queue, self.settings.queue_seconds)
        self.queue = queue
        self.metrics = Metrics(lambda: queue.running, lambda: queue.waiting)

    def stop(self) -> None:
        """Take no more questions."""
        self.draining = True
