"""One emulated vLLM server as a raw ASGI application: the OpenAI API, health, metrics and adapter management.

Why raw ASGI: a thousand streams on one process leave no time for a framework. Invariant: a request whose client hangs
up is aborted, so that it neither generates nor holds KV-cache blocks any longer.
"""

import asyncio
import math
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from backend.emulator.realmodel.client import ask
from backend.emulator.serving import openai_answers as answers
from backend.emulator.serving import openai_protocol as protocol
from backend.emulator.serving.delivery import Delivery
from backend.emulator.serving.engine import Engine
from backend.emulator.serving.exchange import ClientGone, Exchange, Receive, Scope, Send
from backend.emulator.serving.generation import Generation, Latency
from backend.emulator.serving.openai_protocol import ApiError
from backend.emulator.serving.text import answer, token_ids, tokenize
from backend.emulator.serving.vllm_args import Adapter, ServerConfig
from backend.emulator.serving.vllm_logs import ServerLog
from backend.emulator.serving.vllm_metrics import Metrics

_SOURCE = re.compile(r"/.+|[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
"""Where an adapter can be: an absolute path, or a repository of Hugging Face's."""


@dataclass(frozen=True, slots=True)
class _Prompt:
    text: str
    pieces: Sequence[str | int]
    ids: list[int] | None
    messages: tuple[dict[str, str], ...]

    @property
    def tokens(self) -> int:
        return len(self.pieces)


class ModelServer:
    """The ASGI application of one Pod's model server."""

    def __init__(
        self,
        config: ServerConfig,
        log: Callable[[str], None],
        *,
        latency: Latency | None = None,
        seed: int = 0,
    ) -> None:
        self.config = config
        self.metrics = Metrics(config)
        self.engine = Engine(config, self.metrics, latency=latency or Latency(), seed=seed)
        self.log = ServerLog(config, log)
        self._reached = asyncio.Event()
        self._reached.set()
        self._created = int(time.time())
        self._adapters: dict[str, tuple[int, Adapter]] = {}
        self._adapter_count = 0
        self.synced: set[str] = set()
        """Adapters that the side-car has loaded."""
        self.real_model: int | None = None
        """Loopback port of the real model, None while text is simulated."""
        for adapter in config.adapters:
            self._add_adapter(adapter)
        self._routes: dict[tuple[str, str], Callable[[Exchange], Awaitable[None]]] = {
            ("GET", "/health"): self._health,
            ("GET", "/ping"): self._health,
            ("GET", "/version"): self._version,
            ("GET", "/metrics"): self._metrics,
            ("GET", "/v1/models"): self._models,
            ("POST", "/v1/completions"): self._completions,
            ("POST", "/v1/chat/completions"): self._chat,
        }
        if config.runtime_lora:
            self._routes["POST", "/v1/load_lora_adapter"] = self._load_adapter
            self._routes["POST", "/v1/unload_lora_adapter"] = self._unload_adapter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        await self._reached.wait()
        exchange = Exchange(scope, receive, send, self.log)
        path = exchange.path.rstrip("/") if exchange.path == "/metrics/" else exchange.path
        route = self._routes.get((exchange.method, path))
        if route is None:
            known = any(path == other for _, other in self._routes)
            status = 405 if known else 404
            await exchange.answer(status, {"detail": HTTPStatus(status).phrase})
            return
        try:
            await route(exchange)
        except ClientGone:
            return
        except ApiError as error:
            await exchange.answer(error.status, answers.error_body(self.config, error))

    def load(self, adapter: Adapter) -> None:
        """Load an adapter as the API does; raises ApiError when it is refused."""
        if not adapter.name or not adapter.source:
            raise ApiError(400, "InvalidUserInput", "Both 'lora_name' and 'lora_path' must be provided.")
        if adapter.name in self._adapters:
            message = f"The lora adapter '{adapter.name}' has already been loaded."
            raise ApiError(400, "InvalidUserInput", message)
        if not _SOURCE.fullmatch(adapter.source):
            message = f"Loading lora {adapter.name} failed: No adapter found for {adapter.source}"
            raise ApiError(404, "NotFoundError", message)
        self._add_adapter(adapter)
        self.log.adapter_loaded(adapter)

    def load_at_runtime(self, adapter: Adapter) -> None:
        """Load an adapter for the side-car; raises ApiError 404 where the server does not offer loading at run time."""
        if not self.config.runtime_lora:
            raise ApiError(404, "HTTPException", "Not Found")
        self.load(adapter)

    def unload(self, name: str) -> None:
        """Unload an adapter as the API does; raises ApiError when it is not loaded."""
        if name not in self._adapters:
            raise ApiError(404, "NotFoundError", f"The lora adapter '{name}' cannot be found.")
        del self._adapters[name]

    def pace(self, slowness: float) -> None:
        """Take so many times longer for every token; infinite means that the server answers nobody until it is back."""
        self.engine.pace(slowness)
        if math.isinf(slowness):
            self._reached.clear()
        else:
            self._reached.set()

    def close(self) -> None:
        """Abort whatever is being generated."""
        self.engine.close()

    def _add_adapter(self, adapter: Adapter) -> None:
        self._adapter_count += 1
        self._adapters[adapter.name] = (self._adapter_count, adapter)

    async def _health(self, exchange: Exchange) -> None:
        await exchange.answer(200, None)

    async def _version(self, exchange: Exchange) -> None:
        await exchange.answer(200, {"version": self.config.version_text})

    async def _metrics(self, exchange: Exchange) -> None:
        await exchange.start(200, b"text/plain; version=0.0.4; charset=utf-8")
        await exchange.write(self.metrics.page(), last=True)

    async def _models(self, exchange: Exchange) -> None:
        adapters = {name: adapter for name, (_, adapter) in self._adapters.items()}
        await exchange.answer(200, answers.models_body(self.config, adapters, self._created))

    async def _load_adapter(self, exchange: Exchange) -> None:
        request = protocol.parse_body(protocol.LoadAdapterRequest, exchange.headers, await exchange.body())
        adapter = Adapter(request.lora_name or "", request.lora_path or "", self.config.served_names[0])
        self.load(adapter)
        await exchange.answer_text(200, f"Success: LoRA adapter '{adapter.name}' added successfully.")

    async def _unload_adapter(self, exchange: Exchange) -> None:
        request = protocol.parse_body(protocol.LoadAdapterRequest, exchange.headers, await exchange.body())
        if not request.lora_name:
            raise ApiError(400, "InvalidUserInput", "'lora_name' needs to be provided to unload a LoRA adapter.")
        self.unload(request.lora_name)
        await exchange.answer_text(200, f"Success: LoRA adapter '{request.lora_name}' removed successfully.")

    async def _completions(self, exchange: Exchange) -> None:
        request = protocol.parse_body(protocol.CompletionRequest, exchange.headers, await exchange.body())
        self._model_of(request.model)
        prompts = [_completion_prompt(prompt) for prompt in _prompt_list(request.prompt)]
        await self._generate(exchange, request, prompts, f"cmpl-{exchange.request_id()}", echo=request.echo)

    async def _chat(self, exchange: Exchange) -> None:
        request = protocol.parse_body(protocol.ChatRequest, exchange.headers, await exchange.body())
        self._model_of(request.model)
        if request.max_tokens is None:
            request.max_tokens = request.max_completion_tokens
        text = protocol.chat_prompt(self.config.model, request.messages)
        messages = tuple({"role": message.role, "content": message.text()} for message in request.messages)
        prompt = _Prompt(text, tokenize(text), None, messages)
        await self._generate(exchange, request, [prompt], f"chatcmpl-{exchange.request_id()}", chat=True)

    def _model_of(self, name: str | None) -> tuple[int, Adapter] | None:
        """Return the adapter that a model name stands for, None for the base model; raises ApiError 404."""
        if name is None or name in self.config.served_names:
            return None
        if name not in self._adapters:
            raise ApiError(404, "NotFoundError", f"The model `{name}` does not exist.")
        return self._adapters[name]

    async def _generate(
        self,
        exchange: Exchange,
        request: protocol.GenerationRequest,
        prompts: list[_Prompt],
        request_id: str,
        *,
        chat: bool = False,
        echo: bool = False,
    ) -> None:
        protocol.check_terms(request)
        budgets = [protocol.output_budget(self.config, prompt.tokens, request.max_tokens) for prompt in prompts]
        adapter = self._model_of(request.model)
        model = request.model or self.config.served_names[0]
        delivery = Delivery(
            exchange=exchange,
            form=answers.AnswerForm(request_id, model, chat=chat),
            prompt_tokens=sum(prompt.tokens for prompt in prompts),
        )
        real = None
        single = len(prompts) == request.n == 1
        if self.real_model is not None and single and budgets[0] > 1 and not request.ignore_eos:
            real = await ask(self.real_model, prompts[0].messages, budgets[0] - 1)
        for index, (prompt, budget) in enumerate(zip(prompts, budgets, strict=True)):
            self.log.request(
                request_id if chat else f"{request_id}-{index}",
                prompt.text,
                prompt.ids,
                sampling=protocol.sampling_text(request, budget),
                adapter=adapter,
            )
            for choice in range(request.n):
                seed = request.seed if choice == 0 else (request.seed or 0) + choice
                source = adapter[1].source if adapter else ""
                delivery.heads.append(prompt.text if echo else "")
                tokens = answer(model, source, prompt.text, seed, endless=request.ignore_eos)
                delivery.generations.append(
                    Generation(
                        tokens=tokens if real is None else real,
                        prompt_tokens=prompt.tokens,
                        prefix=self.engine.prefix(prompt.pieces, adapter[0] if adapter else 0),
                        max_tokens=budget,
                        on_output=delivery.output.set,
                        adapter=adapter[1].name if adapter else None,
                        stop=request.stop_words(),
                        include_stop=request.include_stop_str_in_output,
                        min_tokens=request.min_tokens,
                    )
                )
        watch = asyncio.create_task(self._abort_on_hangup(delivery))
        try:
            for generation in delivery.generations:
                self.engine.add(generation)
            if request.stream:
                await delivery.stream(request.stream_options or protocol.StreamOptions())
            else:
                await delivery.whole()
        finally:
            watch.cancel()
            if real is not None:
                real.close()
            for generation in delivery.generations:
                self.engine.abort(generation)

    async def _abort_on_hangup(self, delivery: Delivery) -> None:
        try:
            await delivery.exchange.hangup()
        finally:
            for generation in delivery.generations:
                self.engine.abort(generation)
            delivery.output.set()


def _prompt_list(prompt: str | list[int] | list[str] | list[list[int]]) -> list[str | list[int]]:
    if isinstance(prompt, str):
        return [prompt]
    if prompt and isinstance(prompt[0], int):
        return [[item for item in prompt if isinstance(item, int)]]
    return [item for item in prompt if not isinstance(item, int)]


def _completion_prompt(prompt: str | list[int]) -> _Prompt:
    ids = token_ids(tokenize(prompt)) if isinstance(prompt, str) else prompt
    text = prompt if isinstance(prompt, str) else " ".join(map(str, prompt))
    return _Prompt(text, ids, ids, ({"role": "user", "content": text},))
