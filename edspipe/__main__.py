"""`python -m edspipe` and the command `edspipe`."""

from __future__ import annotations

from edspipe.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
