"""All that may keep a run from working, looked at in turn."""

from pathlib import Path

from tdro.forecast.machine import this_machine
from tdro.setup import machine as machines
from tdro.setup import needs, online
from tdro.setup.findings import Finding
from tdro.setup.needs import Needs


def examine(config: Path | None, root: Path, results: Path) -> list[Finding]:
    """Look at this machine, and where a configuration is named at what its run needs.

    Args:
        config: A configuration file.
        root: The project's folder.
        results: Where results will lie.
    """
    machine = this_machine()
    found = [*machines.versions(root), *machines.processors(machine)]
    wanted, asked = Needs(0, 0), [*online.hub()]
    if config:
        jobs, said = needs.read(config, root)
        if jobs:
            wanted, foretold = needs.forecast(jobs, root, machine)
            said += foretold
            asked = [*online.fetched(job for job in jobs.fetches.values() if job)]
        found = [*said, *found]
    found += [*machines.memory(wanted.memory), *machines.disks(results, wanted.disk)]
    return [*found, *machines.cluster(Path.cwd()), *asked, *machines.earlier_runs(Path.cwd())]
