"""What cluster tests stand on: the cluster itself, a namespace a test, the operator on this machine or in the cluster.

A test takes `lab` (a namespace of its own) and, for its module, `host_operator` (the operator as a process here, the
release scaled away) or `release_operator` (the installed release). A module that needs other settings overrides the
fixture `operator_environment`. When a test fails, what a person would look at is printed.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from kubernetes import client, config

from hack.cluster.api import Progress, cluster_lock, docker_env, kubeconfig, load, tool
from hack.cluster.home import home
from hack.image import ensure_release
from hack.image.build import build_images, images
from tests.support import release
from tests.support.dump import dump
from tests.support.lab import Lab
from tests.support.namespaces import make_namespace
from tests.support.operator_process import Line, OperatorProcess, fresh_log, parsed
from tests.support.side_by_side import all_nodes
from tests.support.sight import fresh_name

REPOSITORY = Path(__file__).parents[2]
FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture(scope="session")
def api() -> Iterator[Any]:
    """The cluster's API (an ApiClient), with the cluster's lock held; fails where no cluster is up."""
    with cluster_lock():
        if not kubeconfig().exists():
            pytest.fail("no cluster is up: run `make cluster-up`")
        connected: Any = config.new_client_from_config(str(kubeconfig()))
        client.VersionApi(connected).get_code(_request_timeout=5)
        yield connected


@pytest.fixture(scope="session")
def kubectl(api: Any) -> Callable[..., subprocess.CompletedProcess[str]]:
    """kubectl against the cluster: `kubectl("get", "wfx")`; the result has returncode, stdout, stderr."""
    program = str(tool("kubectl"))

    def run(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [program, "--kubeconfig", str(kubeconfig()), *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=120)

    return run


@pytest.fixture(scope="session")
def crds(kubectl: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """This checkout's CRDs, served."""
    applied = kubectl("apply", "--server-side", "--force-conflicts", "-f", str(REPOSITORY / "crds"))
    assert applied.returncode == 0, applied.stderr
    waited = kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(REPOSITORY / "crds"))
    assert waited.returncode == 0, waited.stderr


@pytest.fixture(scope="session")
def launcher_image(api: Any, pytestconfig: pytest.Config) -> str:
    """This checkout's launcher image, in all nodes, which must be up meanwhile."""
    name = images().launcher
    known = subprocess.run(
        ["docker", "image", "inspect", name], env={**os.environ, **docker_env()}, capture_output=True
    )
    progress = Progress(3)
    with all_nodes(pytestconfig):
        if known.returncode != 0:
            build_images(progress)
        with progress.step("launcher image into the nodes") as step:
            load([name], step)
            step.result("loaded")
    return name


@pytest.fixture(scope="session")
def release_back_at_the_end(api: Any, request: pytest.FixtureRequest) -> Iterator[None]:
    """The release runs again when all tests are done; where there are workers, only the process above knows when."""
    yield
    if not hasattr(request.config, "workerinput"):
        release.put_back(api)


@pytest.fixture(scope="module")
def release_away(api: Any, release_back_at_the_end: None) -> None:
    """The installed release, if there is one, has no pod while the module's tests run."""
    release.put_away(api)


@pytest.fixture(scope="module")
def operator_environment() -> dict[str, str]:
    """Environment variables of the module's host operator; override it in a module or folder."""
    return {}


@pytest.fixture(scope="module")
def host_operator(
    release_away: None,
    crds: None,
    launcher_image: str,
    operator_environment: dict[str, str],
    request: pytest.FixtureRequest,
) -> Iterator[OperatorProcess]:
    """The operator as a process on this machine, ready. Its log is in the state folder's logs."""
    log = fresh_log(request.module.__name__)
    environment = {"DESIST_LAUNCHER_IMAGE": launcher_image, **operator_environment}
    operator = OperatorProcess(kubeconfig(), log, environment)
    operator.start()
    yield operator
    operator.kill()


@pytest.fixture(scope="module")
def release_operator(api: Any, launcher_image: str) -> Any:
    """The installed release at this checkout's state, available.

    The image is there for those that come later: a module that loses a node would keep it waiting.
    """
    # Two workers may begin at the same time, and the first one installs.
    with FileLock(home().root / "release.lock"):
        ensure_release(kubeconfig())
    apps: Any = client.AppsV1Api(api)
    return apps.read_namespaced_deployment(release.DEPLOYMENT, release.NAMESPACE)


@pytest.fixture
def lab(api: Any, crds: None, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A namespace of this test, deleted at its end."""
    core: Any = client.CoreV1Api(api)
    name = fresh_name()
    make_namespace(core, name)
    made = Lab(name, api)
    made.recorder.start()
    yield made
    if request.node.stash.get(FAILED, False):
        print(f"\n{dump(made, _operator_log(api, request))}")
    made.recorder.stop()
    core.delete_namespace(name)


def _operator_log(api: Any, request: pytest.FixtureRequest) -> list[Line]:
    held: Any = request.node.funcargs.get("host_operator")
    if isinstance(held, OperatorProcess):
        return held.lines()
    return [parsed(line) for line in release.log_lines(api)]
