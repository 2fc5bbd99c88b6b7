import errno
import os
import signal

import pyarrow as pa
import pytest
import torch

from tdro.errors import UserError
from tdro.models.outofmemory import sentence
from tdro.models.weights import loading


def too_much():
    """What torch raises when it asks for more than there is."""
    torch.empty(1 << 60)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        pa.ArrowMemoryError("malloc of size 9 failed"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("std::bad_alloc"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        SystemError("<function _find_and_load at 0x7faec0f6fce0> returned NULL without setting an exception"),
    ],
)
def test_memory_that_ran_out_is_one_sentence_with_what_to_do(error):
    said = sentence(error)
    assert said.startswith("memory ran out (") and "mini_batch_tokens" in said and "\n" not in said


def test_as_torch_itself_says_it_also_while_a_model_is_loaded():
    with pytest.raises(RuntimeError) as found, loading("the base", "take another"):
        too_much()
    assert "memory ran out" in sentence(found.value)


class Killed(torch.utils.data.Dataset):
    """Whoever reads a row of it is killed, as the system does when memory is short."""

    def __len__(self):
        return 4

    def __getitem__(self, row):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_that_makes_batches_counts_as_memory_that_ran_out():
    with pytest.raises(RuntimeError) as found:
        next(iter(torch.utils.data.DataLoader(Killed(), num_workers=1)))
    assert "memory ran out" in sentence(found.value)


def test_other_errors_stay_what_they_are():
    assert sentence(RuntimeError("shapes differ")) is None
    assert sentence(SystemError("bad argument")) is None
    assert sentence(UserError("the text 'out of memory' is no row")) is None
