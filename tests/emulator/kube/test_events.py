"""Events: counted, kept for an hour, never too many, in both of their groups."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import aiohttp

from backend.emulator.kube.builtin import model_schema
from backend.emulator.kube.cluster import KubeCluster
from backend.emulator.kube.events import EVENTS, MOST, News, expire, record, reference, regarding
from backend.emulator.kube.schema import prune
from backend.emulator.kube.store import Store

CORE, NEW = "/api/v1/namespaces/default/events", "/apis/events.k8s.io/v1/namespaces/default/events"


def pod(store: Store) -> dict[str, Any]:
    made = {"metadata": {"name": "p", "namespace": "default"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    return store.create("/pods", made, manager="test")


def news(store: Store, message: str = "Started container c") -> News:
    return News(reference(pod(store), "spec.containers{c}"), "Started", message, "kubelet", host="node-1")


def test_the_same_news_are_counted(world: Any, store: Store) -> None:
    told = news(store)
    record(store, [told])
    world.time += 12
    record(store, [told])
    record(store, [replace(told, warning=True, message="Stopped")])
    first, _ = sorted(store.list(EVENTS), key=lambda event: str(event["message"]))
    assert (first["count"], first["type"], first["involvedObject"]["fieldPath"]) == (2, "Normal", "spec.containers{c}")
    assert (first["firstTimestamp"], first["lastTimestamp"]) == ("2023-11-14T22:13:20Z", "2023-11-14T22:13:32Z")


def test_events_wake_nobody_and_are_gone_after_an_hour(world: Any, store: Store) -> None:
    told = news(store)
    touched = world.touched
    record(store, [told])
    world.time += 1800
    record(store, [replace(told, message="later")])
    world.time += 1801
    expire(store)
    assert [event["message"] for event in store.list(EVENTS)] == ["later"]
    assert world.touched == touched


def test_there_are_never_too_many(world: Any, store: Store) -> None:
    told = news(store)
    for number in range(MOST + 3):
        world.time += 1
        record(store, [replace(told, message=f"{number:04}")])
    expire(store)
    kept = sorted(event["message"] for event in store.list(EVENTS))
    assert (len(kept), kept[0]) == (MOST, "0003")


def test_nothing_is_told_into_a_namespace_that_goes(store: Store) -> None:
    store.create("/namespaces", {"metadata": {"name": "away", "finalizers": ["x/y"]}}, manager="test")
    told = replace(news(store), about={"kind": "Pod", "name": "p", "uid": "u", "namespace": "away"})
    store.delete("/namespaces", None, "away")
    record(store, [told])
    record(store, [replace(told, about={**told.about, "namespace": "never"})])
    assert store.list(EVENTS) == []


def test_both_forms_are_what_the_api_serves(store: Store) -> None:
    record(store, [news(store)])
    (event,) = store.list(EVENTS)
    for model, form in (("CoreV1Event", event), ("EventsV1Event", regarding(event))):
        assert list(prune(model_schema(model), json.loads(json.dumps(form)))) == []


async def test_both_groups_show_the_same_events(served: KubeCluster, http: aiohttp.ClientSession, world: Any) -> None:
    told = news(served.store)
    record(served.store, [told])
    world.time += 5
    record(served.store, [told])
    async with http.get(NEW) as answer:
        (found,) = (await answer.json())["items"]
    assert (found["apiVersion"], found["note"], found["regarding"]["name"]) == (
        "events.k8s.io/v1", "Started container c", "p",
    )  # fmt: skip
    table = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    for path in (CORE, NEW):
        async with http.get(path, params={"includeObject": "Object"}, headers=table) as answer:
            shown = await answer.json()
        (row,) = shown["rows"]
        usual = [
            cell for cell, one in zip(row["cells"], shown["columnDefinitions"], strict=True) if not one["priority"]
        ]
        assert usual == ["0s (x2 over 5s)", "Normal", "Started", "pod/p", "Started container c"]
        assert (
            row["object"]["apiVersion"] == path.split("namespaces")[0].removeprefix("/api/").removeprefix("/apis/")[:-1]
        )
    async with http.get(CORE, params={"fieldSelector": "involvedObject.name=q"}) as answer:
        assert (await answer.json())["items"] == []
    async with http.get(NEW, params={"watch": "true", "timeoutSeconds": "1"}) as answer:
        line = json.loads(await answer.content.readline())
    assert (line["type"], line["object"]["deprecatedCount"]) == ("ADDED", 2)
    world.time += 3601
    async with http.get(CORE) as answer:
        assert (await answer.json())["items"] == []
