"""Launch configurations, ``config/accelerate/*.yaml``: which there are, and what they say of the processes of a job."""

from pathlib import Path
from typing import Any

import yaml

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
    """What a launch configuration says; nothing of `auto`."""
    return {} if name == AUTO else yaml.safe_load(launch_file(name, root).read_text(encoding="utf-8"))


def uses_cpu(name: str, root: Path) -> bool:
    """Whether a launch configuration leaves GPUs alone."""
    return bool(read(name, root).get("use_cpu"))
