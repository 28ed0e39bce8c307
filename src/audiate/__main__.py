"""`python -m audiate` is the command `audiate`."""

import sys


def main() -> int:
    """Run the command line; Ctrl-C ends it without a traceback also while it is imported."""
    try:
        from audiate.cli import main as run

        return run()
    except KeyboardInterrupt:
        print("audiate: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
