"""Lists and answers in parts: filters, pages, selected fields, and several calls in one request."""

from __future__ import annotations

import json
from email.parser import Parser
from typing import Any

import pytest

from backend.emulator.google.filtering import predicate
from backend.emulator.google.partial import mask, select

AT = "/compute/v1/projects/demo-project"
MACHINE: dict[str, Any] = {
    "name": "a3-highgpu-2g",
    "guestCpus": 52,
    "isSharedCpu": False,
    "labels": {"team": "red"},
    "accelerators": [{"guestAcceleratorType": "nvidia-h100-80gb", "guestAcceleratorCount": 2}],
}


@pytest.mark.parametrize(
    "text",
    [
        "",
        'name eq ".*\\ba3\\-highgpu\\-2g\\b.*"',
        "name = a3-highgpu-2g",
        '(name = "a3-highgpu-2g") (guestCpus > 51)',
        "name != a2-highgpu-1g AND guestCpus <= 52",
        "name = x OR guestCpus >= 52",
        "NOT name = x",
        "-name = x",
        "isSharedCpu = false",
        "labels.team = red",
        "labels.team:*",
        "name:HIGHGPU",
        "accelerators.guestAcceleratorType = nvidia-h100-80gb",
        "(name ne a2.*) (guestCpus eq 5.)",
        "name = x OR (guestCpus > 9 AND (labels.team = 'red'))",
    ],
)
def test_a_filter_lets_through_what_it_describes(text: str) -> None:
    assert predicate(text)(MACHINE)


@pytest.mark.parametrize(
    "text",
    [
        "name = a3-highgpu",
        "name eq a3",
        "name ne a3.*",
        "labels.owner:*",
        "guestCpus < 6",
        "name = a3-highgpu-2g AND NOT isSharedCpu = false",
        "absent = x",
    ],
)
def test_a_filter_keeps_out_what_it_does_not_describe(text: str) -> None:
    assert not predicate(text)(MACHINE)


@pytest.mark.parametrize(
    "text", ["name", "name =", "(name = x", "name = x)", "= x", "name eq [", "name ~ x", "a b c", "("]
)
async def test_a_filter_that_cannot_be_read_is_refused(cloud: Any, text: str) -> None:
    error = await cloud.refused(400, "GET", f"{AT}/regions", filter=text)
    assert error["message"] == f"Invalid value for field 'filter': '{text}'. Invalid list filter expression."


async def test_pages_of_a_list_make_the_whole(cloud: Any) -> None:
    names, token, pages = [], "", 0
    while pages == 0 or token:
        answer = await cloud.ok("GET", f"{AT}/zones", maxResults="50", **({"pageToken": token} if token else {}))
        names += [one["name"] for one in answer["items"]]
        token, pages = answer.get("nextPageToken", ""), pages + 1
    whole = await cloud.ok("GET", f"{AT}/zones")
    assert names == [one["name"] for one in whole["items"]]
    assert pages == -(-len(names) // 50) > 1


async def test_pages_of_an_aggregated_list_make_the_whole(cloud: Any) -> None:
    found, token, pages = [], "", 0
    while pages == 0 or token:
        query = {"filter": "name eq a3-.*", "maxResults": "40"} | ({"pageToken": token} if token else {})
        answer = await cloud.ok("GET", f"{AT}/aggregated/machineTypes", **query)
        chosen = [
            (scope, one["name"]) for scope, part in answer["items"].items() for one in part.get("machineTypes", [])
        ]
        assert len(chosen) <= 40
        found += chosen
        token, pages = answer.get("nextPageToken", ""), pages + 1
    assert pages > 1
    assert len(found) == len(set(found))
    assert ("zones/europe-west3-c", "a3-highgpu-2g") in found
    assert answer["items"]["zones/europe-west3-a"]["warning"]["code"] == "NO_RESULTS_ON_PAGE"


@pytest.mark.parametrize("query", [{"maxResults": "many"}, {"pageToken": "x"}, {"maxResults": "-1"}])
async def test_a_page_that_is_no_number_is_refused(cloud: Any, query: dict[str, str]) -> None:
    await cloud.refused(400, "GET", f"{AT}/regions", **query)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a", {"a": {"b": 1, "c": [{"d": 2, "e": 3}]}}),
        ("a/b", {"a": {"b": 1}}),
        ("a(b,c/d)", {"a": {"b": 1, "c": [{"d": 2}]}}),
        ("*/c/e,z", {"a": {"c": [{"e": 3}]}}),
        ("absent", {}),
    ],
)
def test_selected_fields(text: str, kept: Any) -> None:
    assert select({"a": {"b": 1, "c": [{"d": 2, "e": 3}]}}, mask(text)) == kept


async def test_an_answer_has_only_the_fields_that_were_asked_for(cloud: Any) -> None:
    answer = await cloud.ok("GET", f"{AT}/regions", fields="items(name,quotas/metric)", filter="name = us-east4")
    assert answer["items"][0].keys() == {"name", "quotas"}
    assert {tuple(one) for one in answer["items"][0]["quotas"]} == {("metric",)}
    for wrong in ("items(name", "items)", ",", "a b", "a/(b)"):
        error = await cloud.refused(400, "GET", f"{AT}/regions", fields=wrong)
        assert error["message"] == f"Invalid field selection {wrong}"


def _batch(*lines: str, authorization: str = "") -> tuple[str, bytes]:
    head = "Content-Type: application/http\r\nContent-ID: <id+{}>\r\n\r\n"
    own = f"Authorization: {authorization}\r\n" if authorization else ""
    parts = [f"--x\r\n{head.format(at)}{line} HTTP/1.1\r\n{own}Host: compute\r\n\r\n" for at, line in enumerate(lines)]
    return 'multipart/mixed; boundary="x"', ("\r\n".join(parts) + "\r\n--x--\r\n").encode()


async def _post_batch(cloud: Any, kind: str, body: bytes, authorization: str = "Bearer secret") -> Any:
    headers = {"Content-Type": kind, "Authorization": authorization}
    async with cloud.client.post("/batch/compute/v1", data=body, headers=headers) as answer:
        text = await answer.text()
        if answer.status != 200:
            return answer.status, json.loads(text)
        pieces: Any = Parser().parsestr(f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n{text}").get_payload()
    found = []
    for piece in pieces:
        status, _, rest = piece.get_payload().partition("\r\n")
        found.append((piece["Content-ID"], int(status.split()[1]), json.loads(rest.partition("\r\n\r\n")[2])))
    return 200, found


async def test_the_calls_of_a_batch_are_answered_each_for_itself(cloud: Any) -> None:
    code, found = await _post_batch(
        cloud,
        *_batch(
            f"GET {AT}/zones/us-east4-a/machineTypes?filter=name+eq+%22a3-highgpu-2g%22&maxResults=500",
            f"GET {AT}/zones/mars-1/machineTypes",
            f"GET {AT}/rockets",
        ),
    )
    assert code == 200
    assert [(content_id, status) for content_id, status, _ in found] == [
        ("<response-id+0>", 200),
        ("<response-id+1>", 404),
        ("<response-id+2>", 501),
    ]
    assert [one["name"] for one in found[0][2]["items"]] == ["a3-highgpu-2g"]
    assert found[1][2]["error"]["message"] == "The resource 'projects/demo-project/zones/mars-1' was not found"


async def test_a_part_of_a_batch_may_have_credentials_of_its_own(cloud: Any) -> None:
    _, found = await _post_batch(cloud, *_batch(f"GET {AT}/zones", authorization="Bearer wrong"))
    assert found[0][1] == 401
    code, error = await _post_batch(cloud, *_batch(f"GET {AT}/zones"), authorization="Bearer wrong")
    assert (code, error["error"]["status"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/mixed", b"--x"),
        ("multipart/mixed; boundary=x", b"nothing"),
        ("multipart/mixed; boundary=x", b"--x\r\n\r\nGET\r\n--x--"),
        ("multipart/mixed; boundary=x", b"--x\r\n\r\nGET nowhere HTTP/1.1\r\n--x--"),
    ],
)
async def test_a_batch_that_is_none_is_refused(cloud: Any, kind: str, body: bytes) -> None:
    code, error = await _post_batch(cloud, kind, body)
    assert (code, error["error"]["status"]) == (400, "INVALID_ARGUMENT")
