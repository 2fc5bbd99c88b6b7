"""The tensors of a model's folder, read and written one at a time: memory never holds a whole model.

A safetensors file is a header, which says of each tensor its type, shape and place, and the tensors' bytes in that
order. Large models have several such files.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tdro.errors import UserError
from tdro.models.modelfiles import check_model_folder, header, header_bytes, parts

#: Types by the names that safetensors has for them.
_TYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip


class Place(NamedTuple):
    """Where a tensor lies."""

    file: Path
    start: int
    end: int
    dtype: str
    shape: tuple[int, ...]


class StoredModel:
    """A SentenceTransformer folder whose weights are safetensors.

    Attributes:
        folder: The folder.
        places: Each tensor's place, by the folder of its module and its name: ``model/embeddings.weight`` becomes
            ``("", "embeddings.weight")`` or ``("2_Dense", "linear.weight")``; in the order of the files.

    Raises:
        UserError: for a folder that is no such model, is not whole, or holds adapters or weights in another form.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "modules.json").is_file():
            raise UserError(f"{folder} is no SentenceTransformer folder: it has no modules.json; correct the path.")
        check_model_folder(str(folder.resolve()))
        self.files = [file for part, weighted in parts(folder) for file in _weights(part, weighted)]
        self.places = {(self._part(file), name): place for file in self.files for name, place in _places(file)}

    def _part(self, file: Path) -> str:
        part = file.parent.relative_to(self.folder)
        return "" if part == Path() else part.as_posix()

    def read(self, part: str, name: str) -> Tensor:
        """A tensor."""
        place = self.places[part, name]
        values = np.fromfile(place.file, np.uint8, place.end - place.start, offset=place.start)
        return torch.from_numpy(values).view(_TYPES[place.dtype]).reshape(place.shape)

    def copy_weights(self, output: Path, tensor: Callable[[str, str], Tensor]) -> None:
        """Write files like this model's to another folder, with other numbers in them.

        Args:
            output: Gets the files.
            tensor: What takes the place of a tensor, by its module's folder and its name; of its type and shape.
        """
        for file in self.files:
            to = output / file.relative_to(self.folder)
            to.parent.mkdir(parents=True, exist_ok=True)
            with file.open("rb") as stream, to.open("wb") as written:
                written.write(stream.read(header_bytes(file)))
                for name, _ in _places(file):
                    numbers = tensor(self._part(file), name).contiguous().reshape(-1).view(torch.uint8).numpy()
                    written.write(numbers.data)  # not `tofile`, which loses the end of a file on a full disk


def _weights(part: Path, weighted: bool) -> list[Path]:
    """The files of weights of a module; those of Transformers, static embeddings and dense layers are never none."""
    if (part / "adapter_config.json").is_file():
        raise UserError(
            f"{part} holds an adapter beside a base, not weights in one piece; merge it into its base (peft's "
            "merge_and_unload) and save the model again."
        )
    files = sorted(part.glob("*.safetensors"))
    if weighted and not files:
        raise UserError(f"{part} has no weights as safetensors; load the model and save it again, which writes them.")
    return files


def _places(file: Path) -> Iterator[tuple[str, Place]]:
    """Tensors of a file in the order of their bytes."""
    entries = {name: entry for name, entry in header(file).items() if name != "__metadata__"}
    begin = header_bytes(file)
    for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
        if entry["dtype"] not in _TYPES:
            raise UserError(f"{file}: {name} is of type {entry['dtype']}, which has no average; save it as float32.")
        start, end = entry["data_offsets"]
        yield name, Place(file, begin + start, begin + end, entry["dtype"], tuple(entry["shape"]))
