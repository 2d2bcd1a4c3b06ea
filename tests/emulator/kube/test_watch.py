"""Watches over HTTPS."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from backend.emulator.kube import watch

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


class Stream:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def next(self) -> tuple[str, dict[str, Any]]:
        line = await self._response.content.readline()
        assert line, "the watch ended"
        event = json.loads(line)
        return event["type"], event["object"]

    async def ended(self) -> bool:
        return not await self._response.content.readline()


@asynccontextmanager
async def watching(http: aiohttp.ClientSession, **query: str) -> AsyncIterator[Stream]:
    async with http.get(CONFIG_MAPS, params={"watch": "true", **query}) as response:
        assert response.status == 200
        yield Stream(response)


def make(served: Any, name: str, **labels: str) -> dict[str, Any]:
    made: dict[str, Any] = served.store.create(
        "/configmaps", {"metadata": {"name": name, "labels": labels}}, manager="test"
    )
    return made


async def test_a_watch_starts_with_what_is_there_and_goes_on(http: aiohttp.ClientSession, served: Any) -> None:
    make(served, "a")
    async with watching(http) as stream:
        kind, obj = await stream.next()
        assert (kind, obj["metadata"]["name"], obj["kind"]) == ("ADDED", "a", "ConfigMap")
        served.store.annotate("/configmaps", "default", "a", {"x": "y"}, manager="test")
        served.store.delete("/configmaps", "default", "a")
        kind, obj = await stream.next()
        assert (kind, obj["metadata"]["annotations"]) == ("MODIFIED", {"x": "y"})
        kind, obj = await stream.next()
        assert kind == "DELETED"
        assert int(obj["metadata"]["resourceVersion"]) == served.store.revision


async def test_a_watch_from_a_version_misses_nothing_and_repeats_nothing(
    http: aiohttp.ClientSession, served: Any
) -> None:
    make(served, "a")
    revision = served.store.revision
    make(served, "b")
    async with watching(http, resourceVersion=str(revision)) as stream:
        make(served, "c")
        seen = [(await stream.next())[1]["metadata"]["name"] for _ in range(2)]
        assert seen == ["b", "c"]


async def test_a_selector_turns_changes_into_arrivals_and_departures(http: aiohttp.ClientSession, served: Any) -> None:
    make(served, "a", app="x")
    make(served, "b", app="y")
    async with watching(http, labelSelector="app=x") as stream:
        assert (await stream.next())[1]["metadata"]["name"] == "a"
        for name, app in (("b", "x"), ("a", "y")):
            live = served.store.get("/configmaps", "default", name)
            changed = {**live, "metadata": {**live["metadata"], "labels": {"app": app}}}
            served.store.replace("/configmaps", changed, manager="test")
        assert [(kind, obj["metadata"]["name"]) for kind, obj in (await stream.next(), await stream.next())] == [
            ("ADDED", "b"),
            ("DELETED", "a"),
        ]


async def test_a_watch_list_marks_the_end_of_the_initial_events(http: aiohttp.ClientSession, served: Any) -> None:
    make(served, "a")
    async with watching(http, sendInitialEvents="true", allowWatchBookmarks="true") as stream:
        assert (await stream.next())[0] == "ADDED"
        kind, obj = await stream.next()
        assert (kind, obj["metadata"]["annotations"]) == ("BOOKMARK", {"k8s.io/initial-events-end": "true"})
        assert obj["metadata"]["resourceVersion"] == str(served.store.revision)


async def test_a_version_too_old_is_gone(http: aiohttp.ClientSession, served: Any) -> None:
    for number in range(watch.KEPT + 5):
        served.store.annotate("/namespaces", None, "default", {"n": str(number)}, manager="test")
    async with watching(http, resourceVersion="1") as stream:
        kind, status = await stream.next()
        assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
        assert await stream.ended()


async def test_a_loaded_cluster_sends_its_watchers_back_to_a_list(http: aiohttp.ClientSession, served: Any) -> None:
    make(served, "a")
    served.load(json.loads(json.dumps(served.dump())))
    async with watching(http, resourceVersion=str(served.store.revision - 1)) as stream:
        assert (await stream.next())[1]["code"] == 410
    async with watching(http, resourceVersion=str(served.store.revision)) as stream:
        make(served, "b")
        assert (await stream.next())[1]["metadata"]["name"] == "b"


async def test_a_watch_ends_at_its_timeout_and_when_the_server_stops(http: aiohttp.ClientSession, served: Any) -> None:
    async with watching(http, timeoutSeconds="1") as stream:
        assert await stream.ended()
    async with watching(http) as stream:
        await served.stop()
        assert await stream.ended()


async def test_a_watch_of_a_table_names_its_columns_once(http: aiohttp.ClientSession, served: Any) -> None:
    headers = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    make(served, "a")
    async with http.get(CONFIG_MAPS, params={"watch": "true"}, headers=headers) as response:
        stream = Stream(response)
        _, first = await stream.next()
        make(served, "b")
        _, second = await stream.next()
    assert [one["name"] for one in first["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert second["columnDefinitions"] is None
    assert second["rows"][0]["cells"][0] == "b"
