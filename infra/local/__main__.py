"""Run the whole system on 127.0.0.1, until Ctrl-C or SIGTERM."""

import sys

from infra.local.options import parse


def main() -> int:
    """The exit status. Without the packages of `make setup` only the options can be read."""
    options = parse(sys.argv[1:])
    try:
        from infra.local.terminal import run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        print(f"The package {error.name} is missing. Start with: make run", file=sys.stderr)
        return 1
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
