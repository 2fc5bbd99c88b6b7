"""The one exception that a user can cause and a user can mend."""


class UserError(Exception):
    """Something in the user's files, keys or arguments is wrong.

    The message is one sentence that names the file, row or key, says what was expected and how to
    mend it. The command line prints it without a traceback and exits with status 1.
    """
