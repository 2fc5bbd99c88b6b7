"""What a run of the workflow shows: a line a job, what is under way, the time left, and how a job failed.

Snakemake's own screen tells of each job why it runs, over hundreds of characters; that stays in ``.snakemake/log``.
What jobs print goes to their logs alone, as the lines of two jobs would mix; the screen reads the ends of these logs.

``install`` puts ``handler`` in the place of Snakemake's; in a dry run of ``tdro plan-run`` that is ``planned``, a
table of the jobs, with the words of ``reasons``. ``course`` knows the jobs, ``timeleft`` how long the rest may take,
``live`` draws the lower end of a terminal, ``logends`` reads the last lines of logs.
"""
