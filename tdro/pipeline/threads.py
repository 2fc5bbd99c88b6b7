"""How many threads a job has on a machine of so many cores."""

#: A training gains little from more threads than these; on more cores, two run side by side.
TRAINING = 4


def encoding(cores: int) -> int:
    """Of a job that reads texts: two run side by side at least, as much of a small one is start-up."""
    return min(TRAINING, max(1, cores // 2))
