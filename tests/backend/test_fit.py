"""The rule of thumb agrees with what was seen: which model fits which GPU, and with how long a context."""

import pytest

from backend import fit


@pytest.mark.parametrize(
    ("model", "gib"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", 14.96),  # vLLM tells 14.99 (vllm-project/vllm#10517)
        ("someone/Meta-Llama-3.1-8B", 14.96),
        ("someone/Thing-70B-Instruct-FP8", 65.2),
        ("someone/thing-32b-awq", 14.9),
        ("mistralai/Mixtral-8x7B-v0.1", 104.3),
        ("Qwen/Qwen3-30B-A3B", 55.9),
        ("someone/thing-1.5B", 2.8),
    ],
)
def test_the_size_is_in_the_name(model: str, gib: float) -> None:
    needed = fit.need(model)
    assert needed is not None
    assert needed.weights_gib == pytest.approx(gib, abs=0.1)


@pytest.mark.parametrize("model", ["someone/model", "openai-community/gpt2", "someone/Phi-4-mini", "a/8bit-thing"])
def test_without_a_size_nothing_is_said(model: str) -> None:
    assert fit.need(model) is None


@pytest.mark.parametrize(
    ("accelerator", "at_least", "below"),
    [
        ("nvidia-l4", 8_192, 29_000),  # a card of 23.6 GiB held 20,000 tokens and not 29,000 (the same thread)
        ("nvidia-tesla-a100", 131_072, 200_000),
        ("nvidia-h100-80gb", 131_072, 600_000),
    ],
)
def test_an_8b_models_longest_context(accelerator: str, at_least: int, below: int) -> None:
    needed = fit.need("meta-llama/Llama-3.1-8B-Instruct")
    assert needed is not None
    longest = fit.longest_context(needed, accelerator)
    assert longest is not None
    assert at_least <= longest < below


def test_an_unknown_gpu_or_model_leaves_it_open() -> None:
    known, unknown = fit.need("meta-llama/Llama-3.1-8B-Instruct"), fit.need("someone/thing-8b")
    assert known is not None
    assert unknown is not None
    assert fit.room(known, "nvidia-x1") is None
    assert fit.longest_context(known, "nvidia-x1") is None
    assert fit.longest_context(unknown, "nvidia-l4") is None


def test_what_does_not_fit_at_all_has_no_room() -> None:
    needed = fit.need("meta-llama/Llama-3.1-70B-Instruct")
    assert needed is not None
    assert (fit.room(needed, "nvidia-h100-80gb") or 0) < 0
    assert fit.longest_context(needed, "nvidia-h100-80gb") == 0
