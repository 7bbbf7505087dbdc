"""A person's kubeconfig: our entry goes in and out, and everything else stays what it was."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import yaml
from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault
from ansible_collections.claudescale.core.plugins.module_utils.minikube import kubeconfig
from ansible_collections.claudescale.core.plugins.module_utils.minikube.context import Context
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ODD = """\
# a person's own file
apiVersion: v1
clusters:
- cluster: {server: https://prod.example:6443, insecure-skip-tls-verify: yes}
  name: prod
- cluster:
    server: 'https://stage.example'
    certificate-authority: /etc/ca.crt
    extensions:
    - extension: {last-update: 2024-02-30T25:00:00Z, since: 2001-12-14, port: 0o17, n: 1_000, h: 0x1F, e: ~, z: 007}
      name: odd
  name: "007"
contexts:
- context: &shared {cluster: prod, user: me, namespace: "no"}
  name: prod
- context: *shared
  name: 2024-01-01
- context: {cluster: "007", user: me}
  name: stage
current-context: prod
kind: Config
preferences: {colors: on}
users:
- name: me
  user:
    exec: {command: aws, args: [eks, get-token, "--cluster-name", null], env: null}
    token: |
      several
      lines
x-unknown: [1.0, 1e3, .inf, !custom tagged]
"""


def entry(name: str = "claudescale", **changes: str) -> kubeconfig.Entry:
    values = {
        "server": "https://192.168.49.2:8443",
        "certificate_authority_data": "Y2E=",
        "client_certificate_data": "Y2VydA==",
        "client_key_data": "a2V5",
        "namespace": "claudescale",
    }
    return kubeconfig.Entry(name=name, **{**values, **changes})


def foreign(text: bytes, ours: str = "claudescale") -> list[tuple[str, object]]:
    """Everything but the entries of one name, as YAML nodes say it: key, then tags and texts."""

    def said(node: yaml.Node) -> object:
        if isinstance(node, yaml.ScalarNode):
            return (node.tag, node.value)
        if isinstance(node, yaml.MappingNode):
            return (node.tag, [(said(key), said(value)) for key, value in node.value])
        return (node.tag, [said(item) for item in node.value])

    found = []
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    for key, value in root.value if root is not None else []:
        if key.value in kubeconfig.SECTIONS:
            items = value.value if isinstance(value, yaml.SequenceNode) else []
            kept = [item for item in items if not any(k.value == "name" and v.value == ours for k, v in item.value)]
            found.extend((key.value, said(item)) for item in kept)
        elif key.value not in ("apiVersion", "kind"):
            found.append((key.value, said(value)))
    return found


def context(*files: Path, use: bool = False, namespace: str = "claudescale") -> Context:
    return Context(files=files, profile="claudescale", namespace=namespace, use=use)


def test_odd_foreign_entries_stay_in_every_step(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(ODD)
    before = foreign(path.read_bytes())
    ours = context(path)
    for wanted in (entry(), entry(server="https://192.168.49.3:8443")):
        ours.put(wanted)
        assert foreign(path.read_bytes()) == before
        assert kubeconfig.read(path).current_context == "prod"
        assert not ours.needs(wanted)
    ours.remove()
    assert foreign(path.read_bytes()) == before
    assert not ours.present()


def test_nothing_is_written_where_nothing_differs(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(ODD)
    ours = context(path)
    ours.put(entry())
    (backup,) = tmp_path.glob("*.bak")
    backup.unlink()
    before = path.stat()
    assert ours.put(entry()) == []
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert list(tmp_path.iterdir()) == [path]


def test_backup_holds_the_content_from_before(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(ODD)
    assert context(path).put(entry()) == [tmp_path / "config.claudescale.bak"]
    assert (tmp_path / "config.claudescale.bak").read_text() == ODD


def test_new_file_is_private_and_needs_no_backup(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config"
    assert context(path).put(entry()) == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    found = yaml.safe_load(path.read_text())
    assert found["apiVersion"] == "v1"
    assert found["contexts"][0]["context"]["namespace"] == "claudescale"
    assert "current-context" not in found


def test_link_and_mode_are_kept(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.write_text(ODD)
    real.chmod(0o640)
    link = tmp_path / "config"
    link.symlink_to(real)
    context(link).put(entry())
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert kubeconfig.read(real).has("claudescale")


def test_current_context_is_set_only_where_asked_and_unset_when_ours(tmp_path: Path) -> None:
    path = tmp_path / "config"
    context(path).put(entry())
    assert kubeconfig.read(path).current_context == ""
    context(path, use=True).put(entry())
    assert kubeconfig.read(path).current_context == "claudescale"
    context(path).put(entry())
    assert kubeconfig.read(path).current_context == "claudescale"
    context(path).remove()
    assert kubeconfig.read(path).current_context == ""


def test_of_several_files_the_one_with_the_context_is_used(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text(ODD)
    context(second).put(entry())
    both = context(first, second, use=True)
    both.put(entry(namespace="other"))
    assert both.path == second
    assert not kubeconfig.read(first).has("claudescale")
    assert kubeconfig.read(first).current_context == "claudescale"  # kubectl reads the first file that names one
    assert kubeconfig.read(second).namespace("claudescale") == "other"
    both.remove()
    assert kubeconfig.read(first).current_context == ""
    assert not kubeconfig.read(second).mentions("claudescale")


def test_entries_given_twice_become_one(tmp_path: Path) -> None:
    path = tmp_path / "config"
    context(path).put(entry())
    text = yaml.safe_load(path.read_text())
    text["contexts"] *= 2
    path.write_text(yaml.safe_dump(text))
    context(path).put(entry(namespace="other"))
    assert [item["context"]["namespace"] for item in yaml.safe_load(path.read_text())["contexts"]] == ["other"]


@pytest.mark.parametrize(
    "text",
    [
        "contexts:\n- name: claudescale\n  context: {cluster: eks, user: me}\n",
        "clusters:\n- name: claudescale\n  cluster: {server: https://eks.example}\n",
        "users:\n- name: claudescale\n  user: {token: x}\n",
    ],
    ids=["context", "cluster", "user"],
)
def test_somebody_elses_entry_of_our_name_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(Fault, match=r"has entries named claudescale that are not minikube's \(KubeconfigNameTaken\)"):
        context(path).check_usable()
    context(path).remove()
    assert path.read_text() == text


def test_an_entry_that_minikube_itself_wrote_is_ours(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(
        "clusters:\n- cluster:\n    extensions:\n    - extension: {last-update: x, provider: minikube.sigs.k8s.io}\n"
        "      name: cluster_info\n    server: https://old\n  name: claudescale\n"
    )
    context(path).check_usable()
    context(path).put(entry())
    assert yaml.safe_load(path.read_text())["clusters"][0]["cluster"]["server"] == "https://192.168.49.2:8443"


BROKEN = {
    "clusters: [unclosed\n": "is broken: expected ',' or ']'",
    "just text": "is broken: it is no object",
    "clusters: {prod: 1}\n": "is broken: clusters is not a list of objects",
    "users: [text]\n": "is broken: users is not a list of objects",
    "a: 1\n---\nb: 2\n": "is broken: but found another document in line 2",
    "\x00": "is broken: it is no text",
}


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_broken_file_is_one_sentence_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(Fault) as caught:
        kubeconfig.read(path)
    assert str(caught.value).startswith(f"kubeconfig {path} {BROKEN[text]}")
    assert caught.value.code == "KubeconfigBroken"
    assert path.read_text() == text


@pytest.mark.parametrize(
    "content", ["", "\n", "null\n", "# only a comment\n", "contexts:\nusers: null\nclusters: []\n"]
)
def test_an_empty_file_takes_the_entry(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    context(path).put(entry())
    assert {key: len(yaml.safe_load(path.read_text())[key]) for key in kubeconfig.SECTIONS} == dict.fromkeys(
        kubeconfig.SECTIONS, 1
    )


def test_read_only_file_is_an_obstacle_for_root_too(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(ODD)
    path.chmod(0o400)
    assert kubeconfig.write_obstacle(path) == "it is read-only"
    with pytest.raises(Fault, match=r"cannot be written: it is read-only \(KubeconfigReadOnly\)"):
        context(path).check_writable()
    path.chmod(0o600)
    assert kubeconfig.write_obstacle(path) is None


def test_obstacles_above_the_file_are_seen(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "is no folder" in (kubeconfig.write_obstacle(tmp_path / "file" / "config") or "")
    assert kubeconfig.write_obstacle(tmp_path) == "it is no file"
    assert kubeconfig.write_obstacle(tmp_path / "not" / "yet" / "config") is None


def test_a_change_between_read_and_write_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(ODD)
    document = kubeconfig.read(path)
    path.write_text(ODD + "y-new: 1\n")
    document.put(entry())
    with pytest.raises(Fault, match="KubeconfigChangedMeanwhile"):
        kubeconfig.save(document)
    assert path.read_text() == ODD + "y-new: 1\n"


def test_a_failed_write_leaves_the_old_file_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config"
    path.write_text(ODD)
    document = kubeconfig.read(path)
    document.put(entry())

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Fault, match="No space left on device"):
        kubeconfig.save(document)
    assert path.read_text() == ODD
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (None, ["/home/me/.kube/config"]),
        ("", ["/home/me/.kube/config"]),
        ("/a", ["/a"]),
        (":/a::/b:/a", ["/a", "/b"]),
    ],
)
def test_files_of_a_setting(setting: str | None, expected: list[str]) -> None:
    assert [str(path) for path in kubeconfig.paths(setting, home=Path("/home/me"))] == expected


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), names, st.dates(), st.datetimes(), st.binary()
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))


def section(body: str) -> st.SearchStrategy[list[dict[str, object]]]:
    item = st.fixed_dictionaries({"name": names.filter(lambda name: name != "claudescale"), body: values})
    return st.lists(item, max_size=3)


documents = st.fixed_dictionaries(
    {},
    optional={
        **{name: section(body) for name, body in kubeconfig.BODIES.items()},
        "current-context": names,
        "preferences": values,
        "x": values,
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(document=documents, use=st.booleans())
def test_in_and_out_again_leaves_every_foreign_entry(tmp_path: Path, document: dict[str, object], use: bool) -> None:
    """Invariant: whatever a file holds, putting our entry in and taking it out changes nothing that is not ours."""
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False))
    before = foreign(path.read_bytes())
    context(path, use=use).put(entry())
    during = foreign(path.read_bytes())
    context(path).remove()
    after = foreign(path.read_bytes())
    if use:
        before, during, after = (
            [one for one in found if one[0] != "current-context"] for found in (before, during, after)
        )
    assert during == before
    assert after == before
    assert not kubeconfig.read(path).mentions("claudescale")
