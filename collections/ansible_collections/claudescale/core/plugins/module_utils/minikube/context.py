# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""A profile's entry, carried from minikube's private kubeconfig into a person's."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault
from ansible_collections.claudescale.core.plugins.module_utils.minikube import kubeconfig

with contextlib.suppress(ImportError):  # the door says which package is missing
    import yaml


def entry(private: Path, profile: str, namespace: str) -> kubeconfig.Entry:
    """The profile's entry with its certificates embedded. Fault where minikube left none."""
    try:
        found = yaml.safe_load(private.read_bytes())
        cluster = _named(found["clusters"], profile)["cluster"]
        user = _named(found["users"], profile)["user"]
        return kubeconfig.Entry(
            name=profile,
            server=cluster["server"],
            certificate_authority_data=_data(cluster, "certificate-authority"),
            client_certificate_data=_data(user, "client-certificate"),
            client_key_data=_data(user, "client-key"),
            namespace=namespace,
        )
    except (OSError, yaml.YAMLError, KeyError, TypeError, StopIteration) as error:
        raise Fault(
            "EntryMissing",
            f"minikube left no usable entry of profile {profile} in {private} ({type(error).__name__})",
            "run this again; where it stays, state: absent and then started makes the cluster anew",
        ) from error


def _named(items: Any, name: str) -> Any:
    return next(item for item in items if item["name"] == name)


def _data(body: dict[str, str], key: str) -> str:
    """The certificate or key as base64, read from its file where it is not embedded."""
    embedded = body.get(f"{key}-data")
    return embedded or base64.b64encode(Path(body[key]).read_bytes()).decode()


@dataclass(frozen=True, kw_only=True)
class Context:
    """A profile's context in a person's kubeconfig files; each look reads them anew."""

    files: Sequence[Path]
    profile: str
    namespace: str
    use: bool

    def shown(self) -> dict[str, Any] | None:
        """Name, namespace, file, and whether it is the current context; None where there is none."""
        documents = self._documents()
        document = kubeconfig.target(documents, self.profile)
        if not document.has(self.profile):
            return None
        return self._shown(document.path, document.namespace(self.profile) or "", self._current(documents))

    def expected(self) -> dict[str, Any]:
        """What `shown` will answer once the context is there."""
        documents = self._documents()
        path = kubeconfig.target(documents, self.profile).path
        return self._shown(path, self.namespace, self.profile if self.use else self._current(documents))

    def _shown(self, path: Path, namespace: str, current: str) -> dict[str, Any]:
        return {
            "name": self.profile,
            "namespace": namespace,
            "kubeconfig": str(path),
            "current": current == self.profile,
        }

    @property
    def path(self) -> Path:
        """The file that has the context, or will have it."""
        return kubeconfig.target(self._documents(), self.profile).path

    def check_readable(self) -> None:
        """Fault where a file cannot be read, or is no kubeconfig."""
        self._documents()

    def check_usable(self) -> None:
        """Fault where a file is broken, or the name stands for somebody else's cluster."""
        document = kubeconfig.target(self._documents(), self.profile)
        if not document.is_ours(self.profile):
            raise Fault(
                "KubeconfigNameTaken",
                f"kubeconfig {document.path} has entries named {self.profile} that are not minikube's",
                "rename or delete them (`kubectl config rename-context`), or use another profile",
            )

    def check_writable(self) -> None:
        """Fault where the file that is to be written cannot be."""
        path = self.path
        obstacle = kubeconfig.write_obstacle(path)
        if obstacle is not None:
            raise Fault(
                "KubeconfigReadOnly",
                f"kubeconfig {path} cannot be written: {obstacle}",
                "make it and its folder writable, or name another file",
            )

    def needs(self, wanted: kubeconfig.Entry) -> bool:
        """Whether put() would change a file."""
        documents = self._documents()
        matches = kubeconfig.target(documents, self.profile).matches(wanted)
        return not matches or (self.use and self._current(documents) != self.profile)

    def put(self, wanted: kubeconfig.Entry) -> list[Path]:
        """Merge the entry in; the backups that were written."""
        documents = self._documents()
        document = kubeconfig.target(documents, self.profile)
        changed = []
        if not document.matches(wanted):
            document.put(wanted)
            changed.append(document)
        if self.use and self._current(documents) != self.profile:
            holder = next((one for one in documents if one.current_context), document)
            holder.set_current(self.profile)
            if holder not in changed:
                changed.append(holder)
        return _saved(changed)

    def present(self) -> bool:
        """Whether there is anything that remove() would take out."""
        return bool(self._holders())

    def remove(self) -> list[Path]:
        """Take the entry out of every file that has it; the backups that were written."""
        holders = self._holders()
        for document in holders:
            document.remove(self.profile)
        return _saved(holders)

    def _holders(self) -> list[kubeconfig.Document]:
        return [one for one in self._documents() if one.mentions(self.profile) and one.is_ours(self.profile)]

    def _documents(self) -> list[kubeconfig.Document]:
        return [kubeconfig.read(path) for path in self.files]

    @staticmethod
    def _current(documents: Sequence[kubeconfig.Document]) -> str:
        """The rule of kubectl: the first file that names one."""
        return next((one.current_context for one in documents if one.current_context), "")


def _saved(documents: Sequence[kubeconfig.Document]) -> list[Path]:
    backups = [kubeconfig.save(document) for document in documents]
    return [path for path in backups if path is not None]
