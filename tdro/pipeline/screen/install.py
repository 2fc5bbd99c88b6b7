"""Takes the place of Snakemake's screen in a run that executes jobs, and in a dry run of ``tdro plan-run``."""

import logging
import os
from pathlib import Path

#: The environment variable by which ``tdro plan-run`` asks for its table in the place of Snakemake's list of jobs.
PLANNED = "TDRO_PLANNED"


def use_screen(workflow, results: str | None) -> None:
    """Take the place of Snakemake's screen in a run that executes jobs, and in a dry run that ``tdro plan-run`` starts.

    Any other ``--dry-run``, ``--verbose``, ``--printshellcmds`` and ``--debug-dag`` keep Snakemake's own, which tells
    more, and ``--logger NAME`` takes another one.

    Args:
        workflow: Snakemake's.
        results: Log whose content is shown once the jobs are done; None: none.
    """
    from snakemake.logging import ColorizingTextHandler, logger

    settings = workflow.output_settings
    planned = settings.dryrun and PLANNED in os.environ
    talkative = (settings.dryrun and not planned) or settings.verbose or settings.printshellcmds or settings.debug_dag
    ours = [handler for handler in logger.handlers if type(handler) is ColorizingTextHandler]
    if not workflow.is_main_process or talkative or not ours:
        return
    (theirs,) = ours
    if planned:
        from tdro.pipeline.screen.planned import Plan

        resources = workflow.resource_settings
        cores = None if resources.nodes else resources.cores or os.cpu_count()
        screen: logging.Handler = Plan(theirs.stream, workflow, cores)
    else:
        from tdro.pipeline.screen.handler import Screen

        screen = Screen(theirs.stream, settings, theirs.filter, Path(results) if results else None)
    screen.setLevel(logging.INFO)
    logger.removeHandler(theirs)
    logger.addHandler(screen)
