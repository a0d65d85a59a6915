import sys

sys.modules["rich"] = None  # type: ignore[assignment]  # structlog has no use for it here: 5 MB, and 40 ms of the start

from strangler.engine.engine_process import main  # noqa: E402

if __name__ == "__main__":
    main()
