"""The rooms of the code import only what docs/ARCHITECTURE.md says, and what is called pure asks nobody anything.

Imports are parsed, wherever in a file they stand. Purity is proven in a fresh interpreter without third-party packages,
in which the clock, the network and other programs cannot be imported, and which must load nothing but our own modules.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.lease import plan

from tests.support import ROOT

ENGINE = "ansible_collections.claudescale.core.plugins.module_utils"
COLLECTION = ROOT / "collections" / "ansible_collections" / "claudescale" / "core"
UTILS = COLLECTION / "plugins" / "module_utils"
PAGE = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")

# Each room may import itself, the rooms that it names, and these packages. Rooms are in the order of their layers: a
# room names earlier ones only, so there are no circles.
ROOMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "errors.py": ((), ()),
    "moments.py": (("errors.py",), ()),
    "record/": (("errors.py", "moments.py"), ()),
    "lease/": (("errors.py", "moments.py"), ()),
    "minikube/": (("errors.py",), ("yaml",)),
    "clients/": (("errors.py",), ()),
    "cluster/": (("errors.py",), ("kubernetes", "urllib3", "yaml", "prometheus_api_client", "requests")),
    "load/": (("errors.py", "cluster/"), ()),
    "evidence/": (("errors.py", "moments.py", "record/", "lease/", "cluster/"), ("matplotlib",)),
    "controller/": (("errors.py", "moments.py", "record/", "lease/", "cluster/"), ("prometheus_client",)),
    "asking/": (("errors.py", "moments.py", "record/", "lease/", "cluster/"), ()),
    "kubernetes_core.py": (("errors.py", "cluster/"), ("kubernetes.core",)),
    "plugins/modules/": (
        ("errors.py", "lease/", "minikube/", "clients/", "cluster/", "load/", "asking/", "kubernetes_core.py"),
        ("ansible",),
    ),
    "claudescale_mcp/": (
        ("errors.py", "moments.py", "lease/", "cluster/", "evidence/", "asking/"),
        ("fastmcp", "pydantic", "mcp_types", "anyio", "typing_extensions"),
    ),
    "claudescale_cli/": (
        ("errors.py", "moments.py", "record/", "lease/", "cluster/", "load/", "controller/", "asking/",
         "claudescale_mcp/"),
        ("typer", "rich", "requests", "fastmcp", "matplotlib"),  # the demo is a client of the MCP server
    ),
    "images/": ((), ("prometheus_client",)),
}  # fmt: skip
PLACES = {
    "plugins/modules/": COLLECTION / "plugins" / "modules",
    "images/": COLLECTION / "images",
    "claudescale_cli/": ROOT / "cli" / "claudescale_cli",
    "claudescale_mcp/": ROOT / "mcp_plugin" / "claudescale_mcp",
}
PURE = ("errors.py", "moments.py", "record/", "lease/", "asking/wish.py", "asking/foreign.py",
        "asking/scaling.py",
        "clients/configuration.py", "clients/entry.py", "clients/json_edit.py", "clients/json_text.py",
        "clients/places.py", "evidence/capacity.py", "evidence/findings.py", "evidence/model.py",
        "evidence/queries.py", "evidence/records.py", "evidence/report.py", "evidence/standing.py",
        "load/manifests.py", "load/profiles.py", "load/results.py")  # fmt: skip
# What pure code may have of the standard library; everything else could ask somebody something.
CALM = {"__future__", "base64", "binascii", "collections", "contextlib", "dataclasses", "datetime", "enum", "hashlib",
        "itertools", "json", "math", "re", "struct", "typing", "unicodedata", "zlib"}  # fmt: skip
CLOCKS = {"now", "utcnow", "today"}  # of datetime; `snapshot.now` is a field, and no call


def files_of(place: str) -> list[Path]:
    """The files of a room, or of a part of one."""
    path = PLACES.get(place, UTILS / place)
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def imports_of(file: Path) -> Iterator[tuple[str, ast.stmt]]:
    """Every module that a file imports, with its statement."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        if isinstance(node, ast.Import):
            yield from ((name.name, node) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{file}:{node.lineno}: say from where"
            if node.module in (ENGINE, *("claudescale_cli", "claudescale_mcp")):
                yield from ((f"{node.module}.{name.name}", node) for name in node.names)
            else:
                yield node.module, node


def room_of(module: str) -> str:
    """The room that a module is in; for one of others, its package."""
    if module.startswith(f"{ENGINE}."):
        name = module.removeprefix(f"{ENGINE}.").partition(".")[0]
        return f"{name}/" if (UTILS / name).is_dir() else f"{name}.py"
    if module.startswith("ansible_collections.claudescale.core.images."):
        return "images/"
    if module.startswith("ansible_collections."):
        return ".".join(module.split(".")[1:3])
    top = module.partition(".")[0]
    return f"{top}/" if top in ("claudescale_cli", "claudescale_mcp") else top


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_what_it_may(room: str) -> None:
    rooms, packages = ROOMS[room]
    earlier = list(ROOMS)[: list(ROOMS).index(room)]
    assert set(rooms) <= set(earlier), "rooms are listed in the order of their layers"
    allowed = {room, *rooms, *packages, *sys.stdlib_module_names}
    found = files_of(room)
    assert found
    wrong = [
        f"{file.relative_to(ROOT)}:{node.lineno}: {module}"
        for file in found
        for module, node in imports_of(file)
        if room_of(module) not in allowed
    ]
    assert not wrong, f"{room} may import {rooms}, {packages} and the standard library"


PLAYS = {"compare", "demo", "mcp_test", "scenarios"}


def test_what_plays_shares_one_room_and_nothing_else() -> None:
    cli = PLACES["claudescale_cli/"]
    found = {
        (folder, module)
        for folder in ("live", *PLAYS)
        for file in (cli / folder).rglob("*.py")
        for module, _ in imports_of(file)
        if module.split(".")[:2] in [["claudescale_cli", other] for other in PLAYS - {folder}]
    }
    assert not found, "what two of them need belongs to live/"
    assert all((cli / folder / "command.py").is_file() for folder in PLAYS)


def test_every_file_of_the_engine_is_in_a_room() -> None:
    rooms = {f"{path.name}/" if path.is_dir() else path.name for path in UTILS.iterdir() if path.name[0] not in "._"}
    assert {room for room in rooms if any(files_of(room))} - {"__init__.py"} <= set(ROOMS)


@pytest.mark.parametrize("place", PURE)
def test_pure_code_has_nobody_to_ask(place: str) -> None:
    for file in files_of(place):
        tops = {module.partition(".")[0] for module, _ in imports_of(file)}
        assert tops <= CALM | {"ansible_collections"}, file
        tree = ast.parse(file.read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        named = {node.func.id for node in calls if isinstance(node.func, ast.Name)}
        assert not named & {"open", "print", "input", "__import__", "exec", "eval"}, file
        clocks = [node.lineno for node in calls if isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS]
        assert not clocks, f"{file}: a clock is read in lines {clocks}"


BLOCKED = ("kubernetes", "urllib3", "requests", "yaml", "ansible", "fastmcp", "mcp", "pydantic", "prometheus_client",
           "time", "_strptime", "socket", "_socket", "ssl", "select", "http", "urllib.request", "subprocess",
           "threading", "asyncio", "random", "secrets", "tempfile", "sqlite3", "os")  # fmt: skip
ALONE = """
import sys
for name in {calm!r}:
    __import__(name)
sys.path.insert(0, {path!r})
kept = {{name: sys.modules.get(name) for name in {blocked!r}}}
sys.modules.update(dict.fromkeys(kept))  # None: an import of it raises ImportError
before = set(sys.modules)
for name in {modules!r}:
    __import__(name)
print(*sorted(name for name in set(sys.modules) - before if not name.startswith("ansible_collections")))
for name, module in kept.items():  # the interpreter's end needs some of them
    sys.modules.pop(name)
    sys.modules.update({{name: module}} if module else {{}})
"""


def modules_of(*places: str) -> list[str]:
    """The names by which the files are imported."""
    files = [file for place in places for file in files_of(place) if file.name != "__main__.py"]
    names = [file.relative_to(UTILS).with_suffix("").as_posix().replace("/", ".") for file in files]
    return [f"{ENGINE}.{name}".removesuffix(".__init__") for name in names]


def run_alone(modules: list[str], blocked: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Import modules in an interpreter that has the standard library and no site-packages."""
    program = ALONE.format(calm=sorted(CALM), path=str(ROOT / "collections"), blocked=blocked, modules=modules)
    return subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", program], capture_output=True, text=True, check=False, timeout=60
    )


def test_pure_code_loads_nothing_but_itself() -> None:
    done = run_alone(modules_of(*PURE), BLOCKED)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


@pytest.mark.parametrize("blocked", ["time", "socket"])
def test_what_asks_the_world_is_noticed(blocked: str) -> None:
    """The proof above would fail if there were something to prove it wrong."""
    done = run_alone([f"{ENGINE}.cluster.accounts" if blocked == "time" else f"{ENGINE}.controller.health"], BLOCKED)
    assert done.returncode != 0
    assert "halted; None in sys.modules" in done.stderr


def test_the_engine_can_be_imported_without_any_package() -> None:
    """In a module's zip there may be none of them: Ansible wants the imports guarded, and a sentence instead."""
    rooms = [room for room in ROOMS if room not in PLACES]
    done = run_alone(modules_of(*rooms), ())
    assert (done.returncode, done.stderr) == (0, "")


def test_the_page_lists_the_stages_in_their_order() -> None:
    rows = re.findall(r"^\| `(_[a-z_]+)` \|", PAGE, flags=re.MULTILINE)
    assert rows == [stage.__name__ for stage in plan.STAGES]


def test_the_page_lists_the_same_rooms() -> None:
    rows = dict(re.findall(r"^\| `([a-z_/]+(?:/|\.py))` \| [^|]+ \| ([^|]*)\|$", PAGE, flags=re.MULTILINE))
    told = {room: tuple(re.findall(r"`([^`]+)`", text)) for room, text in rows.items()}
    assert told == {room: (*rooms, *packages) for room, (rooms, packages) in ROOMS.items()}
