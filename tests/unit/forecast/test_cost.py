"""Operations against those that torch counts, memory against what a model of that size takes."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModel

from tdro.forecast import cost, models

SIZES = {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 3, "num_attention_heads": 4}
TEXTS, LENGTH = 6, 48
PLAIN = {"checkpointing": False, "cached": False, "adapters": 0}


def network(kind, **more):
    config = AutoConfig.for_model(kind, vocab_size=99, pad_token_id=0, attn_implementation="eager", **SIZES, **more)
    model = AutoModel.from_config(config)
    return model, models.of_config(model.config.to_dict())


def counted(model, learn):
    """Operations that torch counts of reading some texts, and of learning from them."""
    with FlopCounterMode(display=False) as counter:
        hidden = model(input_ids=torch.ones(TEXTS, LENGTH, dtype=torch.long)).last_hidden_state
        if learn:
            hidden.sum().backward()
    return counter.get_total_flops()


@pytest.mark.parametrize(
    ("kind", "more"), [("bert", {}), ("llama", {"num_key_value_heads": 2}), ("qwen2", {"num_key_value_heads": 4})]
)
def test_operations_are_those_that_torch_counts(kind, more):
    model, shape = network(kind, **more)
    tokens = TEXTS * LENGTH
    # Torch counts neither biases nor norms, and the pooler of BERT once a text.
    forward = cost.forward(shape, tokens, LENGTH) / cost.PADDING
    assert forward == pytest.approx(counted(model, learn=False), rel=0.02)
    learning = cost.training(shape, tokens, LENGTH, **PLAIN) / cost.PADDING
    assert learning == pytest.approx(counted(model, learn=True), rel=0.02)


def test_adapters_leave_out_the_gradients_of_weights():
    import peft

    model, shape = network("llama")
    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules=names))
    learnt = sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad)
    assert cost.adapters(shape, 4) == learnt
    adapted.enable_input_require_grads()
    found = cost.training(shape, TEXTS * LENGTH, LENGTH, **{**PLAIN, "adapters": learnt}) / cost.PADDING
    assert found == pytest.approx(counted(adapted, learn=True), rel=0.02)
    assert found < cost.training(shape, TEXTS * LENGTH, LENGTH, **PLAIN) / cost.PADDING


def test_computing_twice_costs_a_pass_more_each():
    _, shape = network("bert")
    once = cost.forward(shape, 100, 10)
    for changes, passes in (({"checkpointing": True}, 4), ({"checkpointing": True, "cached": True}, 5)):
        assert cost.training(shape, 100, 10, **{**PLAIN, **changes}) == passes * once


def test_search_multiplies_every_query_with_every_passage():
    with FlopCounterMode(display=False) as counter:
        torch.ones(7, 16) @ torch.ones(11, 16).T
    assert cost.search(7, 11, 16) == counter.get_total_flops()


SHAPE = {"tokens": 65_536, "length": 128, "half": True, "checkpointing": True, "fused_attention": True}


def test_the_state_of_a_training_is_sixteen_bytes_a_parameter_split_over_the_processes():
    qwen = models.read("Qwen/Qwen1.5-7B", None)

    def memory(layout, processes=8):
        return cost.training_memory(qwen, layout=layout, processes=processes, trained=qwen.parameters, **SHAPE)

    whole, state, sharded = memory(cost.WHOLE), memory(cost.SHARDED_STATE), memory(cost.SHARDED)
    for found, parts in ((whole, 1), (state, 8), (sharded, 8)):
        assert found.weights + found.gradients + found.optimizer == pytest.approx(16 * qwen.parameters / parts)
        assert found.activations == whole.activations
    assert state.gathered > 2 * qwen.parameters > sharded.gathered
    # What config/paper.yaml says of 7B: it fits 8 GPUs of 80 GB where all is split, and one of them under no layout.
    assert sharded.total < 80e9 < memory(cost.SHARDED, 1).total < whole.total
    adapted = cost.training_memory(
        qwen, layout=cost.SHARDED, processes=8, trained=cost.adapters(qwen, 8), frozen_bytes=2, **SHAPE
    )
    assert adapted.weights == pytest.approx(2 * qwen.parameters / 8, rel=0.01)
    assert adapted.total < sharded.total


def test_activations_without_checkpointing_are_those_that_torch_keeps():
    """Bytes of what autograd saves for the backward pass of a layer, each tensor once, beside the formula."""
    model, shape = network("bert", hidden_dropout_prob=0.1)
    kept: dict[int, int] = {}
    own = {parameter.data_ptr() for parameter in model.parameters()}

    def save(tensor):
        if tensor.data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    model.train()
    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        output = model(input_ids=torch.ones(TEXTS, LENGTH, dtype=torch.long))
    assert output.last_hidden_state.requires_grad
    found = cost.training_memory(
        shape,
        TEXTS * LENGTH,
        LENGTH,
        layout=cost.WHOLE,
        processes=1,
        trained=shape.parameters,
        half=False,
        checkpointing=False,
        fused_attention=False,
    )
    assert found.activations == pytest.approx(sum(kept.values()), rel=0.35)


def test_reading_takes_the_weights_and_little_more():
    shape = models.read("Qwen/Qwen1.5-0.5B", None)
    found = cost.inference_memory(shape, 64 * 512, half=True)
    assert 4 * shape.parameters < found < 8 * shape.parameters
