"""What the fan-outs run: the workflow process that asks for operations, and the program of every pod.

Contract: `WORKFLOW` reads what to ask for from its run's arguments (`operations`, `atATime`, and the `command` of each
operation's pod), keeps that many of them open, and exits with 0 when all have succeeded. Its own argument is the run's
marker; marker, hyphen and number are the last argument of each operation's program.
`STOPPABLE` runs on until its SIGTERM, and then writes the time into a memory file. A probe on the same machine opens
that file through /proc beforehand, and can read it when the pod is gone, and with it the pod's log.
Pods of a Job and of operations are made of the same template, which puts half of them on each worker.
Rejected: reading the times from the pods' logs, as the other figures do. A deleted Job's pods leave none.
"""

from __future__ import annotations

from typing import Any

SIGNALLED = "signalled"
"""Name of the memory file."""
STOPPABLE = f"""
import os, signal, sys, time
def stop(signum, frame):
    os.write(said, repr(time.time()).encode())
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
said = os.memfd_create("{SIGNALLED}")
while True: time.sleep(60)
"""
WORKFLOW = r"""
import hashlib, http.client, json, ssl, sys
from os import environ as env

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
TRUST = ssl.create_default_context(cafile=f"{ACCOUNT}/ca.crt")
HEADERS = {"Authorization": "Bearer " + open(f"{ACCOUNT}/token").read(), "Content-Type": "application/json"}
URL = f"/apis/desist.dev/v1alpha1/namespaces/{env['DESIST_NAMESPACE']}/operations"
EXECUTION = {"name": env["DESIST_EXECUTION"], "uid": env["DESIST_EXECUTION_UID"]}
OWNER = {"apiVersion": "desist.dev/v1alpha1", "kind": "WorkflowExecution", "controller": True, **EXECUTION}
RUN = {"executionRef": EXECUTION, "runId": env["DESIST_RUN_ID"]}
ITSELF = {"createdBy": {"podName": env["DESIST_POD_NAME"], "podUid": env["DESIST_POD_UID"]}}
ENDED = ("Succeeded", "Failed", "TimedOut", "Cancelled")

def server():
    return http.client.HTTPSConnection(env["KUBERNETES_SERVICE_HOST"], env["KUBERNETES_SERVICE_PORT"], context=TRUST)

def create(connection, number):
    digits = hashlib.sha256("\0".join((EXECUTION["uid"], RUN["runId"], str(number))).encode()).hexdigest()[:20]
    name = EXECUTION["name"][:36].rstrip("-.") + "-" + digits
    work = {"key": str(number), "pod": {"command": [*asked["command"], f"{sys.argv[1]}-{number}"]}}
    metadata = {"name": name, "ownerReferences": [OWNER]}
    body = {"apiVersion": OWNER["apiVersion"], "kind": "Operation", "metadata": metadata, "spec": RUN | ITSELF | work}
    connection.request("POST", URL, json.dumps(body), HEADERS)
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != 201:
        sys.exit(f"operation {number}: {answer.status} {said}")

def states():
    while True:  # the API server ends each watch after some minutes
        watch = server()
        watch.request("GET", f"{URL}?watch=true&fieldSelector=spec.runId%3D{RUN['runId']}", headers=HEADERS)
        for line in watch.getresponse():
            yield json.loads(line)["object"]

asked = json.load(open("/desist/arguments.json"))
waiting = iter(range(asked["operations"]))
creator, ended = server(), set()
for _ in range(asked["atATime"]):
    create(creator, next(waiting))
for held in states():
    phase = held.get("status", {}).get("phase")
    if phase in ENDED and held["spec"]["key"] not in ended:
        if phase != "Succeeded":
            sys.exit(f"operation {held['spec']['key']}: {phase}")
        ended.add(held["spec"]["key"])
        if (number := next(waiting, None)) is not None:
            create(creator, number)
        if len(ended) == asked["operations"]:
            break
"""
GRACE = 5
"""Seconds, of all pods."""
Object = dict[str, Any]


def python(source: str, *arguments: str) -> list[str]:
    """The command that runs one of these programs."""
    return ["python3", "-uc", source, *arguments]


def template(command: list[str]) -> Object:
    """A pod's template, half of whose pods are on each worker."""
    labels = {"app": "fanout"}
    halves = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "nodeTaintsPolicy": "Honor",
        "labelSelector": {"matchLabels": labels},
    }
    image = {"image": "localhost/desist-workload:1", "imagePullPolicy": "Never"}
    spec = {
        "terminationGracePeriodSeconds": GRACE,
        "topologySpreadConstraints": [halves],
        "containers": [{"name": "workflow", "command": command, **image}],
    }
    return {"metadata": {"labels": labels}, "spec": spec}


def execution(name: str, marker: str, operations: int, at_a_time: int, command: list[str]) -> Object:
    """A run that asks for so many operations, and has no more than `at_a_time` of them open."""
    workflow = {"template": template(python(WORKFLOW, marker)), "stopPolicy": {"gracePeriodSeconds": GRACE}}
    arguments = {"operations": operations, "atATime": at_a_time, "command": command}
    return {
        "apiVersion": "desist.dev/v1alpha1",
        "kind": "WorkflowExecution",
        "metadata": {"name": name},
        "spec": {"workflowSpec": workflow, "arguments": arguments},
    }


def job(name: str, marker: str, pods: int, command: list[str]) -> Object:
    """A Job of so many pods at once."""
    made = template([*command, marker])
    made["spec"]["restartPolicy"] = "Never"
    return {"metadata": {"name": name}, "spec": {"parallelism": pods, "completions": pods, "template": made}}
