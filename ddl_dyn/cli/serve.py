"""`ddl-dyn serve`: the runs folder in a browser."""

from __future__ import annotations

import argparse
from pathlib import Path


def serve(options: argparse.Namespace) -> int:
    """Serve the runs folder until Ctrl-C, which is how one leaves.

    Args:
        options: runs, host and port.
    Raises:
        ValueError: when the packages of the extra `serve` are missing, or the address cannot be had.
    """
    from ddl_dyn.experiments.interrupts import Terminated

    try:
        from ddl_dyn.results.serve.server import serve_runs
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        if missing not in ("starlette", "uvicorn"):
            raise
        raise ValueError(f"serve needs {missing}, which is not installed: pip install 'ddl-dyn[serve]'") from error
    try:
        serve_runs(Path(options.runs), host=options.host, port=options.port)
    except KeyboardInterrupt as interrupt:
        if isinstance(interrupt, Terminated):
            raise
    return 0
