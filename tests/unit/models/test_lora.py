import numpy as np
import torch

from tdro.config.models import Encoding, Lora, Model
from tdro.models.bases import load_retriever
from tdro.models.lora import merge_adapters

ENCODING = Encoding(query_length=64, passage_length=64, precision="fp32")
TEXTS = ["alpha", "beta gamma", "delta"]


def test_merged_adapters_give_the_same_embeddings(tiny_base):
    model = Model(name="tiny", base=str(tiny_base))
    retriever = load_retriever(model.model_copy(update={"lora": Lora(rank=2)}), ENCODING)
    trained = [parameter for parameter in retriever.parameters() if parameter.requires_grad]
    with torch.no_grad():
        for parameter in trained:
            parameter.normal_(std=0.3)
    apart = retriever.encode(TEXTS)
    merge_adapters(retriever[0].auto_model)
    np.testing.assert_allclose(retriever.encode(TEXTS), apart, atol=1e-4)
    assert np.abs(apart - load_retriever(model, ENCODING).encode(TEXTS)).max() > 0.01
