"""Launch configurations, ``config/accelerate/*.yaml``: which there are, and what they say of the processes of a job."""

from pathlib import Path
from typing import Any

from tdro.artifacts.strictyaml import read_file
from tdro.errors import UserError

#: The launch configuration that is none: CPU where there is no GPU, one process a GPU where there are some.
AUTO = "auto"

_FOLDER = Path("config/accelerate")


def launch_file(name: str, root: Path) -> Path:
    """Where a launch configuration lies below the project's folder."""
    return root / _FOLDER / f"{name}.yaml"


def configurations(root: Path) -> list[str]:
    """What `models[].accelerate` may name: `auto`, and the files of config/accelerate."""
    return [AUTO, *sorted(file.stem for file in (root / _FOLDER).glob("*.yaml"))]


def read(name: str, root: Path) -> dict[str, Any]:
    """What a launch configuration says; nothing of `auto`.

    Raises:
        UserError: when the file is no YAML, or no mapping.
    """
    if name == AUTO:
        return {}
    file = launch_file(name, root)
    found = read_file(file).values
    if not isinstance(found, dict):
        raise UserError(
            f"{file} is no launch configuration: expected keys of `accelerate launch`, as the files beside it have."
        )
    return found


def uses_cpu(name: str, root: Path) -> bool:
    """Whether a launch configuration leaves GPUs alone."""
    return bool(read(name, root).get("use_cpu"))
