"""Memory that has run out: one sentence, whichever library asked for more.

Python and Arrow tell it by a class, the system by a number, others only by words. Where the system kills a job's own
process instead, nobody can say anything here; the workflow's screen does (:mod:`tdro.pipeline.screen.logends`).
"""

import errno

from tdro.artifacts.shapes import reason

_WORDS = (
    "can't allocate memory",  # torch, on a CPU
    "not enough memory",
    "out of memory",  # CUDA, HIP
    "std::bad_alloc",
    "failed to map segment from shared object",  # the loader of libraries, under `ulimit -v`
    # torch, of a process that makes batches: the system kills one when memory is short.
    "is killed by signal: Killed",
    "out of shared memory",
    # Python, where a library written in C has no memory left to say so.
    "without exception set",
    "without setting an exception",
)
_LONGEST = 200  # characters of another library's message


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    if not isinstance(error, RuntimeError | ImportError | OSError | SystemError):
        return False
    said = f"{error} {error.__cause__ or ''}"  # torch says that a process ended, and of what only in the cause
    return any(word in said for word in _WORDS)


def sentence(error: BaseException) -> str | None:
    """What to tell the user, or None for an error of another kind."""
    if not is_out_of_memory(error):
        return None
    return (
        f"memory ran out ({reason(error)[:_LONGEST]}); make what is computed at once smaller (`mini_batch_tokens`, "
        "`batch_size`, shorter texts), or give the job more. docs/troubleshooting.md says which key helps which rule."
    )
