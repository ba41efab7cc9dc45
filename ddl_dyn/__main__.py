"""`python -m ddl_dyn` is `ddl-dyn`."""

from __future__ import annotations

import sys

from ddl_dyn.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
