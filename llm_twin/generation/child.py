"""The process that `EmbeddedServer` starts: llama.cpp's server, until the pipe from us closes."""

import contextlib
import json
import os
import sys


def main() -> None:
    """Read the order from the input, start the server, print its address, wait for the end."""
    order = json.loads(sys.stdin.readline())
    # What the library prints must not get between us and the reader of our output.
    told = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    import xllamacpp  # type: ignore[import-untyped] # it has no types

    parameters = xllamacpp.CommonParams()
    parameters.model.path = order["model"]
    parameters.model_alias = [order["name"]]
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.api_keys = [order["key"]]
    parameters.n_ctx = order["context"]
    parameters.n_parallel = order["parallel"]
    # One thread writes tokens: two wait for each other wherever the machine has other work.
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = order["threads"]
    parameters.n_gpu_layers = 0
    parameters.verbosity = -1
    parameters.ui = False
    parameters.endpoint_slots = False
    parameters.cors_origins = ""
    parameters.offline = True
    parameters.warmup = False
    server = xllamacpp.Server(parameters)
    print(json.dumps({"url": server.listening_address}), file=told, flush=True)
    with contextlib.suppress(OSError):
        while sys.stdin.read(1):
            pass
    os._exit(0)  # the server's threads need not be waited for


if __name__ == "__main__":
    main()
