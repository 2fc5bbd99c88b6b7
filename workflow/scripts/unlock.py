"""Take away the lock of a run that was killed, so that the next one starts: unlock.py [FOLDER].

A lock whose run still goes on, or whose jobs do, stays. For one machine: a Snakemake on another one is not seen.
"""

import sys
from pathlib import Path

from tdro.pipeline.killed import explain_lock, is_locked, orphans, runs, unlock

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
if is_locked(folder):
    if runs(folder) or orphans(folder):
        sys.exit(explain_lock(folder))
    unlock(folder)
    print(f"{folder} was locked by a run that was killed; it is unlocked.")
