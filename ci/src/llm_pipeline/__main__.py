"""The start of ``llm-pipeline``: from here on Ctrl-C is no traceback, at whatever moment."""

import signal


def main() -> None:
    """Run the command.

    Until a run has begun and takes care of its processes, an interruption may simply end this one:
    a shell says 130 then, too. Everything else is imported after that has been said.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from llm_pipeline.cli import main as run

    run()


if __name__ == "__main__":
    main()
