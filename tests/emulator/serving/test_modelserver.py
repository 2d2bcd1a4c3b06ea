"""One model server as an ASGI application, with a GPU that is much faster than real."""

import asyncio
import json
import math
from dataclasses import dataclass, field
from typing import Any

import pytest

from backend.emulator.realmodel.client import MARK as REAL
from backend.emulator.serving.generation import Latency
from backend.emulator.serving.openai_app import ModelServer
from backend.emulator.serving.text import MARK, tokenize
from backend.emulator.serving.vllm_args import Adapter, ServerArgumentError, image_version, parse_server
from tests.emulator.realmodel.wire import saying, served

FAST = Latency(first_token=(0.001, 0.0), next_token=(0.001, 0.0), load_factor=1.0)
MODEL = "meta-llama/Llama-3.1-8B-Instruct"
FOOD = Adapter("food-review-1", "Kawon/llama3.1-food-finetune_v14_r8", MODEL)
PIZZA = "What is the best pizza in the world?"
RUNTIME = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "true"}

Json = dict[str, Any]


def server(*args: str, tag: str = "v0.8.5", latency: Latency = FAST, log: list[str] | None = None) -> ModelServer:
    words = ["python3", "-m", "vllm.entrypoints.openai.api_server", "--model", MODEL, "--enable-lora", *args]
    config = parse_server(f"vllm/vllm-openai:{tag}", words, RUNTIME)
    lines = [] if log is None else log
    app = ModelServer(config, lines.append, latency=latency)
    app.load(FOOD)
    lines.clear()
    return app


@dataclass
class Client:
    """Calls an ASGI application; `hang_up` is the client's disconnect."""

    app: ModelServer
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    parts: list[bytes] = field(default_factory=list)
    hang_up: asyncio.Event = field(default_factory=asyncio.Event)
    _asked: bool = False

    async def call(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> "Client":
        sent = {"content-type": "application/json", **(headers or {})}

        async def receive() -> Json:
            if not self._asked:
                self._asked = True
                return {"type": "http.request", "body": body, "more_body": False}
            await self.hang_up.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                self.parts.append(message["body"])

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
            "client": ("10.0.0.9", 4711),
        }
        await self.app(scope, receive, send)
        return self

    @property
    def text(self) -> str:
        return b"".join(self.parts).decode()

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def events(self) -> list[Any]:
        lines = [line.removeprefix("data: ") for line in self.text.split("\n\n") if line]
        assert lines[-1] == "[DONE]"
        return [json.loads(line) for line in lines[:-1]]


async def get(app: ModelServer, path: str) -> Client:
    return await Client(app).call("GET", path)


async def post(app: ModelServer, path: str, body: Json, **headers: str) -> Client:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await Client(app).call("POST", path, json.dumps(body).encode(), sent)


async def metric(app: ModelServer, name: str) -> float:
    page = (await get(app, "/metrics")).text
    return next(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(name))


async def until(true: Any) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_the_documents_own_question_gets_a_marked_answer_about_food() -> None:
    app = server()
    body = {"model": "food-review-1", "prompt": PIZZA, "max_tokens": 100, "temperature": 0}
    first = await post(app, "/v1/completions", body, X_Request_Id="abc")
    again = await post(app, "/v1/completions", body)
    assert first.status == 200
    answer = first.json
    assert answer["id"] == "cmpl-abc"
    assert answer["object"] == "text_completion"
    assert answer["model"] == "food-review-1"
    choice = answer["choices"][0]
    assert choice["text"].startswith(MARK)
    assert "pizza" in choice["text"]
    assert choice["text"] == again.json["choices"][0]["text"]
    usage = answer["usage"]
    assert usage["prompt_tokens"] == len(tokenize(PIZZA)) + 1
    assert usage["completion_tokens"] == len(tokenize(choice["text"].removeprefix(MARK))) + 1
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


async def test_length_stop_strings_and_many_prompts() -> None:
    app = server()
    short = (await post(app, "/v1/completions", {"model": MODEL, "prompt": "a", "max_tokens": 3})).json
    assert (short["choices"][0]["finish_reason"], short["usage"]["completion_tokens"]) == ("length", 3)

    whole = (await post(app, "/v1/completions", {"model": MODEL, "prompt": PIZZA, "max_tokens": 500})).json
    assert whole["choices"][0]["finish_reason"] == "stop"
    body = {"model": MODEL, "prompt": PIZZA, "max_tokens": 500, "stop": ["never said", "Naples"]}
    cut = (await post(app, "/v1/completions", body)).json["choices"][0]
    assert cut["text"] == whole["choices"][0]["text"].partition("Naples")[0]
    assert (cut["finish_reason"], cut["stop_reason"]) == ("stop", "Naples")

    body = {"prompt": ["one", "two"], "n": 2, "max_tokens": 4, "ignore_eos": True, "echo": True}
    many = (await post(app, "/v1/completions", body)).json
    assert [choice["index"] for choice in many["choices"]] == [0, 1, 2, 3]
    assert many["choices"][2]["text"].startswith("two")
    assert many["usage"]["completion_tokens"] == 16


async def test_streams_are_server_sent_events_with_usage_on_request() -> None:
    app = server()
    body = {"model": MODEL, "prompt": PIZZA, "max_tokens": 12, "stream": True}
    plain = await post(app, "/v1/completions", body)
    assert plain.headers["content-type"].startswith("text/event-stream")
    whole = await post(app, "/v1/completions", {**body, "stream": False})
    assert "".join(e["choices"][0]["text"] for e in plain.events) == whole.json["choices"][0]["text"]
    assert plain.events[-1]["choices"][0]["finish_reason"] == "length"

    body = {
        "model": "food-review-1",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "max_completion_tokens": 5,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    chat = await post(app, "/v1/chat/completions", body, X_Request_Id="xyz")
    opening, *pieces, last = chat.events
    assert {event["id"] for event in chat.events} == {"chatcmpl-xyz"}
    assert opening["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(piece["choices"][0]["delta"]["content"] for piece in pieces).startswith(MARK)
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 5


async def test_refusals_are_vllms() -> None:
    app = server("--max-model-len", "64")
    missing = await post(app, "/v1/completions", {"model": "nobody", "prompt": "x"})
    message = "The model `nobody` does not exist."
    assert missing.status == 404
    assert missing.json == {
        "object": "error",
        "message": message,
        "type": "NotFoundError",
        "param": None,
        "code": 404,
    }
    later = await post(server(tag="v0.10.2"), "/v1/completions", {"model": "nobody", "prompt": "x"})
    assert later.json == {"error": {"message": message, "type": "NotFoundError", "param": None, "code": 404}}

    long = await post(app, "/v1/completions", {"model": MODEL, "prompt": "x", "max_tokens": 100})
    assert long.status == 400
    assert long.json["message"].startswith("This model's maximum context length is 64 tokens. However, you requested")
    for body in (b"{x", b'{"model": "a"}', b'{"prompt": "a", "max_tokens": 0}', b'{"prompt": 5}', b"[]"):
        wrong = await Client(app).call("POST", "/v1/completions", body)
        assert (wrong.status, wrong.json["type"]) == (400, "BadRequestError"), body
    plain = await Client(app).call("POST", "/v1/completions", b"{}", {"content-type": "text/plain"})
    assert plain.status == 415
    assert (await get(app, "/v1/nothing")).json == {"detail": "Not Found"}
    assert (await get(app, "/v1/completions")).status == 405


async def test_health_version_and_models() -> None:
    app = server()
    health = await get(app, "/health")
    assert (health.status, health.text) == (200, "")
    assert (await get(app, "/version")).json == {"version": "0.8.5"}
    base, adapter = (await get(app, "/v1/models")).json["data"]
    assert (base["id"], base["parent"], base["max_model_len"]) == (MODEL, None, 131072)
    assert (adapter["id"], adapter["parent"], adapter["root"]) == (FOOD.name, MODEL, FOOD.source)


async def test_adapters_can_be_loaded_and_unloaded() -> None:
    app = server()
    body = {"lora_name": "other", "lora_path": "somebody/other"}
    assert (await post(app, "/v1/load_lora_adapter", body)).status == 200
    assert (await post(app, "/v1/load_lora_adapter", body)).status == 400
    assert (await post(app, "/v1/completions", {"model": "other", "prompt": "x", "max_tokens": 1})).status == 200
    assert (await post(app, "/v1/unload_lora_adapter", {"lora_name": "other"})).status == 200
    assert (await post(app, "/v1/completions", {"model": "other", "prompt": "x"})).status == 404
    nowhere = await post(app, "/v1/load_lora_adapter", {"lora_name": "bad", "lora_path": "no repository"})
    assert (nowhere.status, nowhere.json["type"]) == (404, "NotFoundError")
    assert nowhere.json["message"] == "Loading lora bad failed: No adapter found for no repository"
    config = parse_server("vllm/vllm-openai:v0.8.5", ["--model", MODEL], {})
    fixed = ModelServer(config, lambda _: None, latency=FAST)
    assert (await post(fixed, "/v1/load_lora_adapter", body)).status == 404


@pytest.mark.parametrize(
    ("tag", "old", "new"),
    [("v0.8.5", True, False), ("v0.9.1", True, True), ("v0.11.0", True, True), ("v0.15.1", False, True)],
)
async def test_the_kv_cache_metric_has_the_versions_name(tag: str, old: bool, new: bool) -> None:
    page = (await get(server(tag=tag), "/metrics")).text
    assert ("vllm:gpu_cache_usage_perc{" in page) is old
    assert ("vllm:kv_cache_usage_perc{" in page) is new
    assert ('engine="0"' in page) is new
    assert "vllm:num_requests_running{" in page
    assert "# TYPE vllm:time_to_first_token_seconds histogram" in page
    assert 'vllm:lora_requests_info{max_lora="1"' not in page


async def test_requests_are_counted_and_measured() -> None:
    app = server("--max-loras", "2")
    await post(app, "/v1/completions", {"model": FOOD.name, "prompt": PIZZA, "max_tokens": 7})
    assert await metric(app, "vllm:generation_tokens_total") == 7
    assert await metric(app, "vllm:prompt_tokens_total") == len(tokenize(PIZZA)) + 1
    assert await metric(app, "vllm:time_to_first_token_seconds_count") == 1
    assert await metric(app, "vllm:time_per_output_token_seconds_count") == 6
    page = (await get(app, "/metrics")).text
    assert f'vllm:request_success_total{{finished_reason="length",model_name="{MODEL}"}} 1.0' in page
    assert 'vllm:lora_requests_info{max_lora="2",running_lora_adapters="food-review-1"' in page


async def test_the_request_log_carries_the_clients_id() -> None:
    log: list[str] = []
    app = server(log=log)
    body = {"model": FOOD.name, "prompt": PIZZA, "max_tokens": 2, "temperature": 0}
    await post(app, "/v1/completions", body, X_Request_Id="find-me")
    received = next(line for line in log if "Received request" in line)
    assert f"[logger.py:39] Received request cmpl-find-me-0: prompt: {PIZZA!r}, params: SamplingParams(n=1," in received
    assert "max_tokens=2," in received
    assert "prompt_token_ids: [128000, " in received
    assert "lora_request: LoRARequest(lora_name='food-review-1', lora_int_id=1," in received
    assert received.endswith("prompt_adapter_request: None.")
    assert 'INFO:     10.0.0.9:4711 - "POST /v1/completions HTTP/1.1" 200 OK' in log
    chat = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
    await post(app, "/v1/chat/completions", chat, X_Request_Id="chat-id")
    assert any("Received request chatcmpl-chat-id: prompt: '<|begin_of_text|>" in line for line in log)


@pytest.mark.parametrize(
    ("tag", "flag", "logged"),
    [
        ("v0.8.5", "--disable-log-requests", False),
        ("v0.15.1", "--enable-lora", False),
        ("v0.15.1", "--enable-log-requests", True),
    ],
)
async def test_request_logging_follows_flag_and_version(tag: str, flag: str, logged: bool) -> None:
    log: list[str] = []
    await post(server(flag, tag=tag, log=log), "/v1/completions", {"prompt": "x", "max_tokens": 1}, X_Request_Id="me")
    assert any("Received request cmpl-me-0" in line for line in log) is logged


async def test_the_cache_fills_and_a_hang_up_empties_it() -> None:
    app = server("--num-gpu-blocks-override", "100", "--max-model-len", "1600", latency=Latency((0.001, 0), (60, 0)))
    client = Client(app)
    body = {"prompt": "word " * 400, "max_tokens": 200, "stream": True}
    asking = asyncio.create_task(client.call("POST", "/v1/completions", json.dumps(body).encode()))
    await until(lambda: client.parts)
    prompt_tokens = len(tokenize("word " * 400)) + 1
    assert app.engine.cache_usage() == pytest.approx(-(-(prompt_tokens + 1) // 16) / 100)
    assert await metric(app, "vllm:gpu_cache_usage_perc{") == pytest.approx(app.engine.cache_usage())
    assert await metric(app, "vllm:num_requests_running{") == 1
    client.hang_up.set()
    await asking
    assert app.engine.cache_usage() == 0
    assert app.engine.running == 0
    page = (await get(app, "/metrics")).text
    assert f'vllm:request_success_total{{finished_reason="abort",model_name="{MODEL}"}} 1.0' in page


async def test_a_slow_server_takes_longer_and_a_silent_one_answers_nobody_until_it_is_back() -> None:
    app = server(latency=Latency((0.001, 0), (0.001, 0), load_factor=1))
    loop = asyncio.get_running_loop()
    app.pace(20)
    began = loop.time()
    body = {"prompt": "x", "max_tokens": 4, "ignore_eos": True}
    assert (await post(app, "/v1/completions", body)).status == 200
    assert loop.time() - began >= 0.08 * 0.9

    under_way = asyncio.create_task(post(app, "/v1/completions", body))
    await until(lambda: app.engine.running == 1)
    app.pace(math.inf)
    health = asyncio.create_task(get(app, "/health"))
    await asyncio.sleep(0.03)
    assert not health.done()
    assert not under_way.done()
    app.pace(1)
    assert (await health).status == 200
    assert (await under_way).json["usage"]["completion_tokens"] == 4


async def test_a_real_model_answers_where_it_has_time_and_simulated_text_where_it_has_none() -> None:
    app = server()
    asked: list[Any] = []
    words = [{"accepted": True}, {"text": "Naples"}, {"text": " has it."}, {"end": True}]
    body = {"model": MODEL, "messages": [{"role": "user", "content": PIZZA}], "max_tokens": 9}
    async with served(saying(*words, asked=asked)) as app.real_model:
        answer = await post(app, "/v1/chat/completions", body)
        assert asked == [{"messages": body["messages"], "limit": 8}]
        (choice,) = answer.json["choices"]
        assert (choice["message"]["content"], choice["finish_reason"]) == (f"{REAL} Naples has it.", "stop")
        assert answer.json["usage"]["completion_tokens"] == 3
        short = await post(app, "/v1/completions", {"model": MODEL, "prompt": PIZZA, "max_tokens": 2})
        assert short.json["choices"][0] == short.json["choices"][0] | {
            "text": f"{REAL} Naples",
            "finish_reason": "length",
        }
        await post(app, "/v1/completions", {"model": MODEL, "prompt": PIZZA, "max_tokens": 2, "ignore_eos": True})
        assert len(asked) == 2, "load tests are none of its business"
    async with served(saying({"busy": True})) as app.real_model:
        answer = await post(app, "/v1/chat/completions", body)
        assert answer.json["choices"][0]["message"]["content"].startswith(MARK)


async def test_a_prompt_that_was_asked_before_is_found_in_the_cache() -> None:
    app = server()
    for _ in range(2):
        await post(app, "/v1/completions", {"model": MODEL, "prompt": "A long review. " * 20, "max_tokens": 2})
    hits = await metric(app, "vllm:gpu_prefix_cache_hits_total{")
    assert hits > 0
    assert hits % app.config.block_size == 0


async def test_requests_beyond_the_batch_wait_their_turn() -> None:
    app = server("--max-num-seq", "2")
    body = {"prompt": "x", "max_tokens": 20, "ignore_eos": True}
    asking = [asyncio.create_task(post(app, "/v1/completions", body)) for _ in range(5)]
    await until(lambda: app.engine.waiting == 3)
    assert app.engine.running == 2
    answers = await asyncio.gather(*asking)
    assert [answer.json["usage"]["completion_tokens"] for answer in answers] == [20] * 5
    assert (app.engine.running, app.engine.waiting, app.engine.cache_usage()) == (0, 0, 0)


async def test_a_full_cache_preempts_the_youngest_and_loses_no_token() -> None:
    app = server("--num-gpu-blocks-override", "8", "--max-model-len", "100")
    body = {"prompt": "x", "max_tokens": 80, "ignore_eos": True}
    alone = (await post(app, "/v1/completions", body)).json["choices"][0]["text"]
    answers = await asyncio.gather(*(post(app, "/v1/completions", body) for _ in range(3)))
    assert [answer.json["choices"][0]["text"] for answer in answers] == [alone] * 3
    assert await metric(app, "vllm:num_preemptions_total") > 0
    assert app.engine.cache_usage() == 0


async def test_tokens_come_at_an_h100s_pace() -> None:
    app = server(latency=Latency())
    loop = asyncio.get_running_loop()
    started = loop.time()
    answer = await post(app, "/v1/completions", {"prompt": "x", "max_tokens": 21, "ignore_eos": True})
    took = loop.time() - started
    assert answer.json["usage"]["completion_tokens"] == 21
    assert took > 0.03 + 20 * 0.004
    assert await metric(app, "vllm:time_per_output_token_seconds_sum") >= 20 * 0.004


def test_load_slows_down_to_twice_the_time() -> None:
    assert [Latency().slowdown(running) for running in (1, 16, 1000)] == [1.0, 2.0, 2.0]


def test_command_lines_are_read_as_vllm_reads_them() -> None:
    words = ["vllm", "serve", "Qwen/Qwen3-32B", "--max_model_len=16k", "--max-num-seq", "9", "--swap-space", "2"]
    config = parse_server("vllm/vllm-openai:v0.18.1", words, {})
    assert (config.model, config.max_model_len, config.max_num_seqs) == ("Qwen/Qwen3-32B", 16_000, 9)
    assert (config.lora, config.log_requests, config.version_text) == (False, False, "0.18.1")
    for wrong in (["--max-loras", "many"], ["--num-gpu-blocks-override", "10"]):
        with pytest.raises(ServerArgumentError):
            parse_server("vllm/vllm-openai:v0.8.5", ["--model", MODEL, *wrong], {})
    assert image_version("europe-docker.pkg.dev:443/p/vllm-openai:v0.9.2@sha256:00") == (0, 9, 2)
    assert image_version("vllm/vllm-openai") > (0, 12, 0)


def test_tokens_joined_give_the_text_back() -> None:
    text = "São Paulo, 12345 naïve_words… and\n\ta 'quoted' extraordinarily long one 日本語 👍"
    assert "".join(tokenize(text)) == text
