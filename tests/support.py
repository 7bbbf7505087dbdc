"""How the tests speak to the project and to a real cluster: make, playbooks, kubectl."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PROFILE = os.environ.get("CLAUDESCALE_TEST_PROFILE", "claudescale-test")
RECAP = re.compile(r"^localhost\s*: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)
TASK = re.compile(r"^TASK \[(.+?)\] \*+$")
CHANGE = re.compile(r"^changed: \[localhost\](?: => \(item=(?P<item>.+)\))?")


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a command of the project answered; text is standard output and error as they came."""

    code: int
    text: str
    seconds: float

    @property
    def changed(self) -> int:
        """The number of changed tasks in Ansible's recap; AssertionError where there is no recap."""
        found = RECAP.search(self.text)
        assert found, self.text[-3000:]
        return int(found.group(2))

    def changes(self) -> list[str]:
        """What was changed, in order: the loop's item where the task has one, else the task's name."""
        found = []
        task = ""
        for line in self.text.splitlines():
            if title := TASK.match(line):
                task = title.group(1)
            elif change := CHANGE.match(line):
                found.append(change.group("item") or task)
        return found


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A real cluster, and how to speak to it."""

    profile: str
    kubeconfig: Path
    namespace: str = "claudescale"
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def context(self) -> str:
        """The kubeconfig context, which has the profile's name."""
        return self.profile

    def kubectl(self, *arguments: str, input: str | None = None, check: bool = True) -> str:  # noqa: A002 - subprocess' word
        """What kubectl prints; AssertionError with its error where it fails."""
        done = subprocess.run(
            ["kubectl", "--context", self.context, *arguments],
            input=input, stdin=None if input is not None else subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=120, env=self.environment,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr
        return done.stdout if done.returncode == 0 else done.stdout + done.stderr

    def get(self, *arguments: str) -> Any:
        """`kubectl get ... -o json`, parsed."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def make(self, target: str, *variables: str, timeout: float = 1200) -> Made:
        """`make TARGET`, for this cluster's profile, shown as it runs."""
        return run(
            ["make", "--no-print-directory", target, f"CLAUDESCALE_PROFILE={self.profile}", *variables],
            self.environment,
            timeout,
        )

    def site(self, *arguments: str, timeout: float = 900) -> Made:
        """The playbook that `make up` plays, with more arguments."""
        return self.make("play", "PLAYBOOK=site", f"ARGS={' '.join(arguments)}", timeout=timeout)


def run(command: list[str], environment: dict[str, str], timeout: float, folder: Path = ROOT) -> Made:
    """Run a command of the project without terminal and standard input, showing what it prints."""
    print(f"\n$ {' '.join(command)}", flush=True)
    started = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            lines.append(line)
            if time.monotonic() - started > timeout:
                process.terminate()
        code = process.wait()
    return Made(code=code, text="".join(lines), seconds=time.monotonic() - started)


def running() -> list[str]:
    """The command lines of this machine's processes, whole: ps cuts them where it is not told otherwise."""
    return subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()


def environment_for(kubeconfig: Path) -> dict[str, str]:
    """This process's environment with a kubeconfig of its own, so that no test touches a person's."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "KUBECONFIG": str(kubeconfig), "ANSIBLE_FORCE_COLOR": "0", "NO_COLOR": "1"}


def other_cluster_objects() -> dict[str, Any] | None:
    """What people have in context `claudescale`, without what moves by itself; None where it does not run."""
    kinds = (
        "deployments,statefulsets,daemonsets,hpa,services,configmaps,secrets,serviceaccounts,roles,rolebindings,pvc,pdb"
    )
    if not shutil.which("kubectl"):
        return None
    done = subprocess.run(
        ["kubectl", "--context", "claudescale", "--request-timeout=5s", "get", kinds, "--all-namespaces", "-o", "json"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        return None
    found = {}
    for item in json.loads(done.stdout)["items"]:
        meta = item["metadata"]
        spec = {key: value for key, value in item.get("spec", {}).items() if key != "replicas"}  # the HPA's business
        found[f"{item['kind']}/{meta['namespace']}/{meta['name']}"] = {
            "uid": meta["uid"],
            "labels": meta.get("labels"),
            "annotations": meta.get("annotations"),
            "spec": spec,
            "data": item.get("data"),
        }  # fmt: skip
    return found
