"""The exceptions that the command line turns into a sentence and a status."""


class UserError(Exception):
    """Something in the user's files, keys or arguments is wrong.

    The message is one sentence that names the file, row or key, says what was expected and how to
    mend it. The command line prints it without a traceback and exits with status 1.
    """


class Unfinished(Exception):
    """A signal asked the job to stop: a checkpoint is written, and another run goes on from it."""

    #: EX_TEMPFAIL of sysexits.h: try again later.
    STATUS = 75
