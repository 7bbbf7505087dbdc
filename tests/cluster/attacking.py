"""The words in which attacks.py is written: identities, guards, calls of kubectl, attacks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HOME = "claudescale"  # where the whole stack runs
STAGE = "claudescale-attacks"  # where leases and records are attacked, so that no live controller answers meanwhile
ASSISTANT_USER = f"system:serviceaccount:{HOME}:claudescale-sa"
CONTROLLER_USER = f"system:serviceaccount:{HOME}:claudescale-controller"
NAMESPACE_CLEANER = "system:serviceaccount:kube-system:namespace-controller"

# Identities. The first two have tokens of their own; the person is whose kubeconfig it is, and impersonates the others.
ASSISTANT = "assistant"
CONTROLLER = "controller"
PERSON = "person"
ANOTHER = "another-person"  # has RBAC's rights on all of leases, their status and records, and one lease
ENDER = "ender"  # has the verb `end` on capacityleases
CLEANER = NAMESPACE_CLEANER
USERS = {ASSISTANT: ASSISTANT_USER, CONTROLLER: CONTROLLER_USER}

OURS = "claudescale.io"
RBAC = "rbac.authorization.k8s.io"
ADMISSION = "admissionregistration.k8s.io"
CRDS = "apiextensions.k8s.io"


@dataclass(frozen=True, kw_only=True)
class Right:
    """RBAC withholds it; without a namespace, cluster-wide. `says` where the refusal is not "cannot VERB RESOURCE"."""

    verb: str
    resource: str
    group: str = ""
    namespace: str | None = HOME
    says: str = ""

    def __str__(self) -> str:
        place = f" in {self.namespace}" if self.namespace else ""
        return f"RBAC: {self.verb} {self.resource}{'.' if self.group else ''}{self.group}{place}"

    def refuses(self, text: str, user: str) -> bool:
        if self.says:
            return self.says in text
        scope = rf'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        wanted = f'User "{user}" cannot {self.verb} resource "{self.resource}" in API group "{self.group}" {scope}'
        return "forbidden" in text.lower() and wanted in text


@dataclass(frozen=True, kw_only=True)
class Validation:
    """One validation of an admission policy; `says` is in its message."""

    policy: str
    says: str

    def __str__(self) -> str:
        return f"admission {self.policy}: {self.says}"

    def refuses(self, text: str, user: str) -> bool:
        start = f"ValidatingAdmissionPolicy '{self.policy}' with binding '{self.policy}' denied request: "
        return re.search(re.escape(start) + ".*" + re.escape(self.says), text, re.DOTALL) is not None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One CEL rule of a CRD; `says` is its message."""

    plural: str
    says: str

    def __str__(self) -> str:
        return f"CRD {self.plural}: {self.says}"

    def refuses(self, text: str, user: str) -> bool:
        return " is invalid: " in text and self.says in text


Guard = Right | Validation | Rule


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call of kubectl; what `writes` knows a dry run. {names} in it are filled in from the live cluster."""

    arguments: tuple[str, ...]
    body: Any = None  # goes in as JSON
    writes: bool = True

    def command(self, facts: Mapping[str, str], dry: bool) -> tuple[list[str], str | None]:
        """The arguments and the standard input; a dry run is the API server's, after every guard."""
        arguments = [filled(argument, facts) for argument in self.arguments]
        if dry and self.writes:
            if "--raw" in arguments:
                arguments[arguments.index("--raw") + 1] += "?dryRun=All"
            else:
                arguments.append("--dry-run=server")
        return arguments, None if self.body is None else filled(json.dumps(self.body), facts)


def filled(text: str, facts: Mapping[str, str]) -> str:
    """The text with {pod} and the like replaced; other braces stay."""
    return re.sub(r"\{(" + "|".join(facts) + r")\}", lambda found: facts[found.group(1)], text) if facts else text


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One attack; without a twin's call, the twin's identity makes the attack's own call."""

    name: str
    by: str
    call: Call
    guards: tuple[Guard, ...]
    twin_by: str = PERSON
    twin: Call | None = None


def read(*arguments: str) -> Call:
    return Call(arguments=arguments, writes=False)


def patch(what: str, body: Any, namespace: str = HOME, kind: str = "merge", part: str = "") -> Call:
    more = (f"--subresource={part}",) if part else ()
    return Call(arguments=("patch", *what.split("/"), "-n", namespace, f"--type={kind}", "-p", json.dumps(body), *more))


def create(body: dict[str, Any], namespace: str = HOME) -> Call:
    return Call(arguments=("create", "-n", namespace, "-f", "-"), body=body)


def apply(body: dict[str, Any], namespace: str = HOME, part: str = "") -> Call:
    """A patch that reads nothing before it, for those who may not read."""
    arguments = ("apply", "-n", namespace, "--server-side", "--force-conflicts", "--field-manager=attacks", "-f", "-")
    return Call(arguments=(*arguments, *((f"--subresource={part}",) if part else ())), body=body)


def replace(body: dict[str, Any], namespace: str = HOME) -> Call:
    return Call(arguments=("replace", "-n", namespace, "-f", "-"), body=body)


def put(url: str, body: dict[str, Any]) -> Call:
    """A replacement that reads nothing before it."""
    return Call(arguments=("replace", "--raw", url, "-f", "-"), body=body)


def delete(what: str, namespace: str = HOME) -> Call:
    return Call(arguments=("delete", *what.split("/"), "-n", namespace, "--wait=false"))


def thing(api: str, kind: str, name: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, **fields.pop("metadata", {})}, **fields}
