"""A process that records requests until it is killed: `python -m ... SETTINGS ROUND THREADS`.

It says the process of its forwarder, then the id of each trace when its caller would have received
the whole answer.
"""

import itertools
import json
import sys
import threading
import time
from pathlib import Path

from llm_twin.home import Home
from llm_twin.settings import Settings
from llm_twin.tracing.tracer import Tracer
from llm_twin.tracing.worker import Worker
from tests.llm_twin.tracing.conftest import whole_request

PAUSE = 0.005  # seconds; the forwarder has to come to its turn


def main() -> None:
    """Record."""
    settings = Settings.model_validate(json.loads(sys.argv[1]))
    round_number, threads = sys.argv[2], int(sys.argv[3])
    home = Home(Path(settings.home))
    tracer = Tracer.open(home, settings)
    said = threading.Lock()

    def record(thread: int) -> None:
        for number in itertools.count():
            request = whole_request(tracer, f"{round_number}-{thread}-{number}")
            with said:
                sys.stdout.write(f"{request.trace_id}\n")
                sys.stdout.flush()
            time.sleep(PAUSE)

    with Worker(home, settings) as worker:
        sys.stdout.write(f"{worker.pid}\n")
        for thread in range(threads):
            threading.Thread(target=record, args=(thread,), daemon=True).start()
        threading.Event().wait()


if __name__ == "__main__":
    main()
