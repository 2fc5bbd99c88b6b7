"""The exceptions that the command line turns into a sentence and a status."""

from tdro.formats import told

# Lines of a message that are shown, each one thing that is wrong.
_MOST_LINES = 100


class UserError(Exception):
    """Something in the user's files, keys or arguments is wrong.

    The message is one sentence that names the file, row or key, says what was expected and how to
    mend it. The command line prints it without a traceback and exits with status 1.

    Names out of files stand in it, which may hold any characters and be of any length: it is shown as
    :func:`tdro.formats.told` has it.
    """

    def __str__(self) -> str:
        """The message as it is shown."""
        lines = super().__str__().split("\n")
        more = [f"... and {len(lines) - _MOST_LINES:,} more."] if len(lines) > _MOST_LINES else []
        return "\n".join([*map(told, lines[:_MOST_LINES]), *more])


class Unfinished(Exception):
    """A signal asked the job to stop: a checkpoint is written, and another run goes on from it."""

    #: EX_TEMPFAIL of sysexits.h: try again later.
    STATUS = 75
