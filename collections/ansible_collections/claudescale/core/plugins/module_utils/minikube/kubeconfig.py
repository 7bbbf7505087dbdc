# Copyright (c) 2026 ClaudeScale contributors
# SPDX-License-Identifier: MIT
"""One entry of ours in a person's kubeconfig: merged in, taken out, and nothing else touched.

The file is edited as a tree of YAML nodes, never as Python values: a scalar nobody understands (a date that is none, a
number with leading zeros) keeps its text, its style and its tag. What is about to be written is read back first and
compared with what was there; where they differ beyond our entry nothing is written.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault

try:
    import yaml
except ImportError:  # the door says which package is missing
    YAML_ERROR: str | None = traceback.format_exc()
else:
    YAML_ERROR = None

SECTIONS = ("clusters", "users", "contexts")
BODIES = {"clusters": "cluster", "users": "user", "contexts": "context"}
PROVIDER = "minikube.sigs.k8s.io"  # minikube marks its own entries with it; so do we
BACKUP_SUFFIX = ".claudescale.bak"
STR = "tag:yaml.org,2002:str"
MAP = "tag:yaml.org,2002:map"
SEQ = "tag:yaml.org,2002:seq"
NULL = "tag:yaml.org,2002:null"

Body = Mapping[str, "str | Sequence[Body] | Body"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A cluster, its user and its context, all three of one name."""

    name: str
    server: str
    certificate_authority_data: str
    client_certificate_data: str
    client_key_data: str
    namespace: str

    def body(self, section: str) -> Body:
        """What stands under cluster, user or context."""
        if section == "users":
            return {
                "client-certificate-data": self.client_certificate_data,
                "client-key-data": self.client_key_data,
            }
        if section == "clusters":
            return {
                "certificate-authority-data": self.certificate_authority_data,
                "extensions": [_mark("cluster_info")],
                "server": self.server,
            }
        return {
            "cluster": self.name,
            "extensions": [_mark("context_info")],
            "namespace": self.namespace,
            "user": self.name,
        }


def _mark(name: str) -> Body:
    return {"extension": {"provider": PROVIDER}, "name": name}


class Document:
    """A kubeconfig as it was read; edits change this copy until `text` is written by somebody."""

    def __init__(self, path: Path, content: bytes | None) -> None:
        self.path = path
        self.content = content  # None: there is no such file
        self.root = _compose(path, content)
        for section in SECTIONS:
            self._items(section)

    @property
    def current_context(self) -> str:
        """The current context's name, empty where none is set."""
        node = _value(self.root, "current-context")
        return node.value if isinstance(node, yaml.ScalarNode) and node.tag != NULL else ""

    def has(self, name: str) -> bool:
        """Whether there is a context of this name."""
        return self._find("contexts", name) is not None

    def mentions(self, name: str) -> bool:
        """Whether any of the file's entries, or its current context, has this name."""
        return self.current_context == name or any(self._find(section, name) is not None for section in SECTIONS)

    def namespace(self, name: str) -> str | None:
        """The default namespace of the context of this name; None where there is no such context or namespace."""
        body = self._body("contexts", name)
        return _text(_value(body, "namespace")) if body is not None else None

    def is_ours(self, name: str) -> bool:
        """Whether the entries of this name may be replaced and removed by us."""
        marked = {
            section: _is_marked(self._body(section, name))
            for section in ("clusters", "contexts")
            if self._find(section, name) is not None
        }
        if marked:
            return all(marked.values())
        return self._find("users", name) is None

    def matches(self, entry: Entry) -> bool:
        """Whether the entry stands in the file already, to the letter."""
        return all(_plain(self._body(section, entry.name)) == entry.body(section) for section in SECTIONS)

    def put(self, entry: Entry) -> None:
        """Set cluster, user and context of this name; its place is kept where it was there."""
        if not self.root.value:
            self.root.value = [(_scalar("apiVersion"), _scalar("v1")), (_scalar("kind"), _scalar("Config"))]
        for section in SECTIONS:
            if _plain(self._body(section, entry.name)) == entry.body(section):
                continue
            items = self._items(section, make=True)
            wanted = _node({BODIES[section]: entry.body(section), "name": entry.name})
            places = [place for place, item in enumerate(items) if _name(item) == entry.name]
            for place in reversed(places[1:]):
                del items[place]
            if places:
                items[places[0]] = wanted
            else:
                items.append(wanted)

    def remove(self, name: str) -> None:
        """Take out cluster, user and context of this name, and the current context where it was this one."""
        for section in SECTIONS:
            items = self._items(section)
            items[:] = [item for item in items if _name(item) != name]
        if self.current_context == name:
            self.set_current("")

    def set_current(self, name: str) -> None:
        """Make the context of this name the current one; an empty name makes none the current one."""
        if self.current_context == name:
            return
        for place, (key, _old) in enumerate(self.root.value):
            if key.value == "current-context":
                self.root.value[place] = (key, _scalar(name))
                return
        self.root.value.append((_scalar("current-context"), _scalar(name)))

    def text(self) -> bytes:
        """The file's new content, proven to say what this document says."""
        text = yaml.serialize(self.root, Dumper=yaml.SafeDumper, allow_unicode=True, width=2**31)
        content: bytes = text.encode()
        again = _compose(self.path, content)
        if not same(again, self.root):
            raise Fault(
                "KubeconfigUnfaithful",
                f"kubeconfig {self.path} holds YAML that could not be written back without changing it",
                "rewrite it with `kubectl config view --raw`, or name another file",
            )
        return content

    def _items(self, section: str, *, make: bool = False) -> list[yaml.Node]:
        node = _value(self.root, section)
        if isinstance(node, yaml.SequenceNode):
            if all(isinstance(item, yaml.MappingNode) for item in node.value):
                found: list[yaml.Node] = node.value
                return found
        elif node is None or (isinstance(node, yaml.ScalarNode) and node.tag == NULL):
            made = yaml.SequenceNode(SEQ, [])
            if make:
                self.root.value = [pair for pair in self.root.value if pair[0].value != section]
                self.root.value.append((_scalar(section), made))
            items: list[yaml.Node] = made.value
            return items
        raise _broken(self.path, f"{section} is not a list of objects")

    def _find(self, section: str, name: str) -> yaml.Node | None:
        return next((item for item in self._items(section) if _name(item) == name), None)

    def _body(self, section: str, name: str) -> yaml.Node | None:
        item = self._find(section, name)
        return None if item is None else _value(item, BODIES[section])


def read(path: Path) -> Document:
    """The kubeconfig at path, an empty one where there is no file. Fault where it cannot be read or is none."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = None
    except OSError as error:
        raise Fault(
            "KubeconfigUnreadable",
            f"kubeconfig {path} cannot be read ({error.strerror})",
            "give yourself the right to read it, or name another file",
        ) from error
    return Document(path, content)


def paths(setting: str | None, *, home: Path) -> tuple[Path, ...]:
    """The files that a KUBECONFIG setting names, in order and once each; ~/.kube/config where it names none."""
    named = [Path(part).expanduser() for part in (setting or "").split(os.pathsep) if part]
    return tuple(dict.fromkeys(named)) or (home / ".kube" / "config",)


def target(documents: Sequence[Document], name: str) -> Document:
    """The file that a context goes to: the first that has it, else the first."""
    return next((document for document in documents if document.has(name)), documents[0])


def write_obstacle(path: Path) -> str | None:
    """Why the file could not be replaced, in words; None where nothing speaks against it.

    Mode bits count for root too: who takes the right to write from a file means it.
    """
    real = Path(os.path.realpath(path))
    if real.exists():
        if not real.is_file():
            return "it is no file"
        if real.stat().st_mode & 0o222 == 0 or not os.access(real, os.W_OK):
            return "it is read-only"
    folder = next(parent for parent in real.parents if parent.exists())
    if not folder.is_dir():
        return f"{folder} is no folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"its folder {folder} is read-only"
    return None


def save(document: Document) -> Path | None:
    """Write the document in one step and keep the content before it; the backup's path, None where there was no file.

    Fault where somebody else changed the file since it was read, and where it cannot be written.
    """
    real = Path(os.path.realpath(document.path))
    content = document.text()
    try:
        real.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _folder_lock(real.parent):
            found = real.read_bytes() if real.exists() else None
            if found != document.content:
                raise Fault(
                    "KubeconfigChangedMeanwhile",
                    f"kubeconfig {document.path} was changed by somebody else at the same moment",
                    "run this again",
                )
            backup = None
            if found is not None:
                backup = real.with_name(real.name + BACKUP_SUFFIX)
                _replace(backup, found, like=real)
            _replace(real, content, like=real)
    except OSError as error:
        raise Fault(
            "KubeconfigReadOnly",
            f"kubeconfig {document.path} cannot be written ({error.strerror})",
            "make it and its folder writable, or name another file",
        ) from error
    return backup


def same(one: yaml.Node | None, other: yaml.Node | None) -> bool:
    """Whether two YAML trees say the same: tags, texts and order; styles and comments do not count."""
    if one is None or other is None or type(one) is not type(other) or one.tag != other.tag:
        return one is other
    if isinstance(one, yaml.ScalarNode):
        return bool(one.value == other.value)
    if len(one.value) != len(other.value):
        return False
    if isinstance(one, yaml.MappingNode):
        return all(
            same(key, key2) and same(value, value2)
            for (key, value), (key2, value2) in zip(one.value, other.value, strict=True)
        )
    return all(same(item, item2) for item, item2 in zip(one.value, other.value, strict=True))


def _compose(path: Path, content: bytes | None) -> yaml.MappingNode:
    try:
        root = yaml.compose(content or b"", Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = getattr(error, "problem", None) or "it is no text"
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise _broken(path, f"{problem}{where}") from error
    if root is None or (isinstance(root, yaml.ScalarNode) and root.tag == NULL):
        return yaml.MappingNode(MAP, [])
    if not isinstance(root, yaml.MappingNode):
        raise _broken(path, "it is no object")
    return root


def _broken(path: Path, why: str) -> Fault:
    return Fault(
        "KubeconfigBroken",
        f"kubeconfig {path} is broken: {why}",
        "mend it (`kubectl config view --kubeconfig` shows the same fault) or name another file",
    )


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def _text(node: yaml.Node | None) -> str | None:
    return node.value if isinstance(node, yaml.ScalarNode) and node.tag != NULL else None


def _name(item: yaml.Node) -> str | None:
    return _text(_value(item, "name"))


def _is_marked(body: yaml.Node | None) -> bool:
    extensions = _value(body, "extensions")
    if not isinstance(extensions, yaml.SequenceNode):
        return False
    return any(_text(_value(_value(item, "extension"), "provider")) == PROVIDER for item in extensions.value)


def _plain(node: yaml.Node | None) -> object:
    """The node as strings, lists and dicts, so that it can be compared with an entry's body."""
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    return node.value if node is not None else None


def _node(value: str | Sequence[Body] | Body) -> yaml.Node:
    if isinstance(value, str):
        return _scalar(value)
    if isinstance(value, Mapping):
        return yaml.MappingNode(MAP, [(_scalar(key), _node(inner)) for key, inner in value.items()])
    return yaml.SequenceNode(SEQ, [_node(item) for item in value])


def _scalar(text: str) -> yaml.ScalarNode:
    return yaml.ScalarNode(STR, text)


@contextlib.contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    """One writer of ours at a time, without leaving a lock file in a person's folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, content: bytes, *, like: Path) -> None:
    """Write path in one step, with mode and owner of `like`; 0600 where that does not exist."""
    status = like.stat() if like.exists() else None
    part = path.with_name(f".{path.name}.part")
    with contextlib.suppress(FileNotFoundError):
        part.unlink()
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if status is not None:
                os.fchmod(file.fileno(), status.st_mode & 0o777)
                if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(file.fileno(), status.st_uid, status.st_gid)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
