"""Takes the place of Snakemake's screen in a run that executes jobs."""

import logging
from pathlib import Path


def use_screen(workflow, results: str | None) -> None:
    """Take the place of Snakemake's screen in a run that executes jobs.

    ``--dry-run``, ``--verbose``, ``--printshellcmds`` and ``--debug-dag`` keep Snakemake's own, which tells more, and
    ``--logger NAME`` takes another one.

    Args:
        workflow: Snakemake's.
        results: Log whose content is shown once the jobs are done; None: none.
    """
    from snakemake.logging import ColorizingTextHandler, logger

    settings = workflow.output_settings
    talkative = settings.dryrun or settings.verbose or settings.printshellcmds or settings.debug_dag
    ours = [handler for handler in logger.handlers if type(handler) is ColorizingTextHandler]
    if not workflow.is_main_process or talkative or not ours:
        return
    from tdro.pipeline.screen.handler import Screen

    (theirs,) = ours
    screen = Screen(theirs.stream, settings, theirs.filter, Path(results) if results else None)
    screen.setLevel(logging.INFO)
    logger.removeHandler(theirs)
    logger.addHandler(screen)
