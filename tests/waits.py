"""Processes of a test that wait instead of being given a length in time (waiting/sitecustomize.py)."""

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "waiting"


def waiting(folder: Path, function: str, *calls: int) -> dict[str, str]:
    """The environment in which the first process waits at the first of ``calls`` of a function, the next at the next.

    Args:
        folder: Where `waits-1` appears when the first process waits; the file `go` lets all go on, and so does a
            signal to stop.
        function: Such as `tdro.training.losses:ContrastiveLoss.forward`.
        calls: Counted from 1; a process after the last of them does not wait.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "PYTHONPATH": f"{FOLDER}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "TDRO_TEST_WAIT": f"{function}:{','.join(map(str, calls))}",
        "TDRO_TEST_WAIT_FOLDER": str(folder),
    }
