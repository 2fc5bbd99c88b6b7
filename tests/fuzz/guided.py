"""Fuzzes one reader guided by what of its code an input reaches; needs atheris, which is in none of our environments.

    PYTHONPATH=.:tests python tests/fuzz/guided.py TARGET -runs=100000

Python is one of an environment with atheris and all that tDRO needs. What stands behind the target is for libFuzzer.
An input that is answered by something else than a sentence ends the run and is left in a file in the folder `fuzzed`.
"""

import sys
import tempfile
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["tdro"]):
    from fuzz.fuzzing import one, right_file
    from fuzz.mutations import by_bytes
    from fuzz.targets import TARGETS


def main() -> None:
    """Run libFuzzer."""
    target = TARGETS[sys.argv.pop(1)]
    folder, inputs = Path(tempfile.mkdtemp(), "files"), Path(tempfile.mkdtemp())
    right = right_file(target, folder)
    (inputs / "right").write_bytes(right)

    def mutated(data: bytes, most: int, seed: int) -> bytes:
        """What was reached with other bytes, or the right file with another structure."""
        random = Random(seed)
        made = by_bytes(random, data) if random.random() < 0.5 else target.shape(random, right)
        return made[:most]

    def read(data: bytes) -> None:
        outcome = one(target, folder, data)
        if outcome.failure:
            raise AssertionError(f"{outcome.failure}\n{outcome.trace}")

    kept = Path("fuzzed")
    kept.mkdir(exist_ok=True)
    line = [*sys.argv, str(inputs), "-max_len=65536", f"-artifact_prefix={kept}/"]
    atheris.Setup(line, read, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
