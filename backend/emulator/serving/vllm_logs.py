"""Log lines that a vLLM server prints, for mcig and people who look a request up in `kubectl logs`.

Invariant: a request line contains `cmpl-ID-N` or `chatcmpl-ID`, where ID is the client's X-Request-Id, as in v0.8.5's
`vllm/entrypoints/logger.py`; from 0.9.2 on the line has the prompt_embeds field, from 0.10 no prompt adapter.
"""

import time
from collections.abc import Callable

from backend.emulator.serving.download import Refusal
from backend.emulator.serving.vllm_args import Adapter, ServerConfig


class ServerLog:
    """Writes the lines of one server to `write`, one call a line."""

    def __init__(self, config: ServerConfig, write: Callable[[str], None]) -> None:
        self._config = config
        self._write = write
        self._lead = "(APIServer pid=1) " if config.version >= (0, 10, 1) else ""

    def _vllm(self, place: str, text: str) -> None:
        self._write(f"{self._lead}INFO {time.strftime('%m-%d %H:%M:%S', time.gmtime())} [{place}] {text}")

    def began(self) -> None:
        """The first line."""
        self._vllm("api_server.py:1043", f"vLLM API server version {self._config.version_text}")

    def refused(self, refusal: Refusal) -> None:
        """The end of a server that may not have its model: the trace without its frames."""
        cause = "The above exception was the direct cause of the following exception:"
        raised = (f"Traceback (most recent call last):\n{one}" for one in (*refusal.raised, f"OSError: {refusal.told}"))
        for line in f"\n\n{cause}\n\n".join(raised).splitlines():
            self._write(f"{self._lead}{line}")

    def started(self) -> None:
        """The lines of a start that a person looks for."""
        config = self._config
        self._vllm("loader.py:458", f"Loading weights of {config.model} took 35.02 seconds")
        self._vllm("kv_cache_utils.py:634", f"GPU KV cache size: {config.gpu_blocks * config.block_size:,} tokens")
        self._vllm("api_server.py:1090", f"Starting vLLM API server on http://0.0.0.0:{config.port}")
        self._write("INFO:     Started server process [1]")
        self._write("INFO:     Waiting for application startup.")
        self._write("INFO:     Application startup complete.")

    def stopped(self) -> None:
        """The lines of an orderly stop."""
        self._write("INFO:     Shutting down")
        self._write("INFO:     Finished server process [1]")

    def access(self, client: tuple[str, int] | None, method: str, path: str, status: str) -> None:
        """Uvicorn's access line; status is the code and its reason."""
        if self._config.log_access:
            host, port = client or ("127.0.0.1", 0)
            self._write(f'INFO:     {host}:{port} - "{method} {path} HTTP/1.1" {status}')

    def adapter_loaded(self, adapter: Adapter) -> None:
        """The line after an adapter was added."""
        self._vllm("serving_models.py:185", f"Loaded new LoRA adapter: name '{adapter.name}', path '{adapter.source}'")

    def request(
        self,
        request_id: str,
        prompt: str,
        token_ids: list[int] | None,
        *,
        sampling: str,
        adapter: tuple[int, Adapter] | None,
    ) -> None:
        """The line that names a request on arrival; `adapter` is its number on this server and itself."""
        config = self._config
        if not config.log_requests:
            return
        if config.max_log_len is not None:
            prompt = prompt[: config.max_log_len]
            token_ids = token_ids[: config.max_log_len] if token_ids is not None else None
        lora = "None"
        if adapter is not None:
            number, what = adapter
            lora = (
                f"LoRARequest(lora_name={what.name!r}, lora_int_id={number}, lora_path={what.source!r}, "
                f"lora_local_path=None, long_lora_max_len=None, base_model_name={what.base_model!r})"
            )
        embeds = "prompt_embeds shape: None, " if config.version >= (0, 9, 2) else ""
        tail = ", prompt_adapter_request: None" if config.version < (0, 10, 0) else ""
        self._vllm(
            "logger.py:39",
            f"Received request {request_id}: prompt: {prompt!r}, params: {sampling}, "
            f"prompt_token_ids: {token_ids}, {embeds}lora_request: {lora}{tail}.",
        )
        self._vllm("async_llm.py:252", f"Added request {request_id}.")
