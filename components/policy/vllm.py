"""Answers by vLLM, in the same lines as transformers gives; in an environment of its own (`make setup-gpu`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from components.errors import TrainingError
from components.params.predict import PredictParams
from components.policy.answering import answer_tokens, chat
from components.policy.decoding import text_of
from components.policy.processor import load_processor
from components.policy.sampling import NEVER
from components.store.schemas.completions import GreedyAnswer, SampledAnswer


class VllmPolicy:
    """A model folder loaded by vLLM. Raises TrainingError where vllm is not installed."""

    def __init__(self, folder: Path, params: PredictParams) -> None:
        try:
            import vllm  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise TrainingError(
                "predict.vllm is set but vllm is not installed here: `make setup-gpu`, then predict.python: "
                "gpu; or predict.vllm: null"
            ) from None
        self.vllm: Any = vllm
        self.params = params
        self.processor = load_processor(folder)
        memory = params.vllm.gpu_memory_utilization if params.vllm else 0.9
        dtype = "bfloat16" if params.bf16 else "float32"
        self.engine = self.vllm.LLM(model=str(folder), dtype=dtype, gpu_memory_utilization=memory, seed=params.seed)

    def complete(self, images: list[Image.Image], prompts: list[list[dict[str, str]]]) -> list[GreedyAnswer]:
        """text, finish_reason, token_count and answer_tokens of each prompt, greedy."""
        found = self._generate(images, prompts, temperature=0.0, logprobs=0)
        return [self._greedy(one.outputs[0]) for one in found]

    def sample(
        self, images: list[Image.Image], prompts: list[list[dict[str, str]]], count: int, seed: int
    ) -> list[SampledAnswer]:
        """`count` sampled answers to each prompt, one prompt's after another's."""
        options = {"temperature": self.params.temperature, "top_p": self.params.top_p, "n": count, "seed": seed}
        found = self._generate(images, prompts, **options)
        return [self._line(output)[0] for one in found for output in one.outputs]

    def _generate(self, images: list[Image.Image], prompts: list[list[dict[str, str]]], **options: Any) -> Any:
        requests = [
            {"prompt": chat(self.processor, prompt), "multi_modal_data": {"image": image}}
            for prompt, image in zip(prompts, images, strict=True)
        ]
        never: Any = self.processor.image_token_id
        options |= {"logit_bias": {never: NEVER}}
        sampling = self.vllm.SamplingParams(max_tokens=self.params.max_new_tokens, detokenize=False, **options)
        return self.engine.generate(requests, sampling, use_tqdm=False)

    def _greedy(self, output: Any) -> GreedyAnswer:
        line, tokens = self._line(output)
        pairs = zip(tokens, output.logprobs, strict=False)
        logprobs = [float(step[token].logprob) for token, step in pairs]
        return {**line, "answer_tokens": answer_tokens(self.processor.tokenizer, tokens, logprobs, line["text"])}

    def _line(self, output: Any) -> tuple[SampledAnswer, list[int]]:
        tokenizer = self.processor.tokenizer
        tokens = list(output.token_ids)
        if output.finish_reason == "stop" and tokens and tokens[-1] in tokenizer.all_special_ids:
            tokens = tokens[:-1]
        text = text_of(tokenizer, tokens)
        return {"text": text, "finish_reason": output.finish_reason, "token_count": len(tokens)}, tokens
