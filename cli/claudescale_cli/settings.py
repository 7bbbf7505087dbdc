"""The settings of the command: one table, and one order in which their values are looked for.

    flag  >  environment CLAUDESCALE_*  >  .env in the working folder  >  settings.env of the person  >  default

The two files have one format: NAME=VALUE a line, one pair of quotes around VALUE dropped, nothing expanded; a line that
begins with # is a comment, and names that are not ours are somebody else's. An empty value counts as none.

A working folder may be a stranger's clone. So what decides with whose rights something is done, such as the kubeconfig,
which may name programs to run, is not taken from its .env.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError, one_line

PREFIX = "CLAUDESCALE_"
MOST_BYTES = 1 << 20  # of a settings file: what is longer is something else


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One row of the table; `default` is None where something else decides, which `otherwise` names."""

    name: str
    flag: str
    default: str | None
    meaning: str
    otherwise: str = ""
    from_folder: bool = True  # whether a working folder's .env may set it

    @property
    def variable(self) -> str:
        """Its name in the environment and in the files."""
        return PREFIX + self.name.upper()


TABLE = (
    Setting(name="context", flag="--context", default="claudescale", meaning="The kubeconfig's context."),
    Setting(name="namespace", flag="--namespace", default="claudescale", meaning="Where the stack and the leases are."),
    Setting(
        name="kubeconfig",
        flag="--kubeconfig",
        default=None,
        otherwise="$KUBECONFIG, else ~/.kube/config",
        meaning="Another kubeconfig.",
        from_folder=False,
    ),
    Setting(
        name="namespaces",
        flag="controller --namespaces",
        default=None,
        otherwise="the namespace above",
        meaning="What claudescale controller looks after, comma-separated.",
    ),
    Setting(
        name="ttl_seconds_after_finished",
        flag="controller --ttl",
        default="900",
        meaning="How long claudescale controller keeps leases that are over, in seconds.",
    ),
    Setting(
        name="health_port",
        flag="controller --port",
        default=None,
        otherwise="none",
        meaning="Where claudescale controller answers /healthz, /readyz and /metrics.",
    ),
    Setting(
        name="log_level",
        flag="controller --log-level",
        default="INFO",
        meaning="What claudescale controller logs: DEBUG, INFO, WARNING or ERROR.",
    ),
)
BY_NAME = {setting.name: setting for setting in TABLE}
BY_VARIABLE = {setting.variable: setting for setting in TABLE}

# Names that make, the kit and the tests read, from the environment only.
ELSEWHERE = {
    "CLAUDESCALE_PROFILE": "make: the minikube profile, whose name the context has",
    "CLAUDESCALE_KIT": "make: 1 builds images and programs here, 0 fetches them; without it, what the host can do",
    "CLAUDESCALE_KIT_DIR": "make: where the kit keeps what it has built",
    "CLAUDESCALE_VERBOSE": "make: the environment's set-up shows what it does",
    "CLAUDESCALE_KEEP": "tests: a folder in which the cluster's kubeconfig is kept, with the cluster",
    "CLAUDESCALE_SEED": "tests: the seed of what is drawn",
    "CLAUDESCALE_TEST_PROFILE": "tests: another profile than claudescale-test",
    "CLAUDESCALE_TEST_BASE_IMAGE": "tests: the node image",
}


@dataclass(frozen=True, kw_only=True)
class Value:
    """What a setting is, and where that stands: a flag, the environment, a file's path, or "default"."""

    setting: Setting
    text: str | None  # None: what the setting's `otherwise` names
    source: str


class Settings:
    """The values in force, and notes about names in the files that have no effect."""

    def __init__(self, values: Mapping[str, Value], notes: list[str]) -> None:
        self.values = dict(values)
        self.notes = notes

    def text(self, name: str, flag: str | None = None) -> str | None:
        """A value, or the flag's where one was given; None where the setting's `otherwise` decides."""
        return flag if flag is not None else self.values[name].text

    def required(self, name: str) -> str:
        """A value of a setting that has a default."""
        return self.values[name].text or ""

    def number(self, name: str, flag: int | None = None) -> int | None:
        """A value that is a whole number; ClaudeScaleError says where it stands and what to write."""
        found = self.values[name]
        if flag is not None or found.text is None:
            return flag
        if not (found.text.isascii() and found.text.isdigit()) or len(found.text) > 10:
            shown = one_line(repr(found.text), 60)
            raise ClaudeScaleError(f"{found.setting.variable} is {shown} ({found.source}): write a whole number")
        return int(found.text)


def files(environment: Mapping[str, str], folder: Path) -> list[Path]:
    """The settings files, the first one that has a name wins; they need not exist."""
    home = environment.get("XDG_CONFIG_HOME")
    base = Path(home) if home else Path(environment.get("HOME") or "/") / ".config"
    return [folder / ".env", base / "claudescale" / "settings.env"]


def here() -> Path:
    """The working folder; a path that leads nowhere where somebody has taken it away."""
    try:
        return Path.cwd()
    except OSError:
        return Path("/nonexistent")


def resolve(flags: Mapping[str, str | None], environment: Mapping[str, str], folder: Path) -> Settings:
    """Every setting's value; ClaudeScaleError where a settings file cannot be read."""
    found: dict[str, Value] = {}
    notes: list[str] = []
    in_folder, own = files(environment, folder)
    for path in (own, in_folder):  # the later one wins
        for name, text in read(path).items():
            setting = BY_VARIABLE.get(name)
            if setting is None:
                notes.append(_no_setting(name, path))
            elif path is in_folder and not setting.from_folder:
                notes.append(f"{name} in {path} is not taken, because a folder may be a stranger's: write it to {own}")
            elif text:
                found[setting.name] = Value(setting=setting, text=text, source=str(path))
    for setting in TABLE:
        if in_environment := environment.get(setting.variable):
            found[setting.name] = Value(setting=setting, text=in_environment, source=f"environment {setting.variable}")
        if (given := flags.get(setting.name)) is not None:
            found[setting.name] = Value(setting=setting, text=given, source=f"flag {setting.flag}")
        found.setdefault(setting.name, Value(setting=setting, text=setting.default, source="default"))
    return Settings(found, notes)


def read(path: Path) -> dict[str, str]:
    """The CLAUDESCALE_ names of a settings file; {} where there is none. ClaudeScaleError names the bad line."""
    try:
        if not path.is_file():  # .env may be somebody's virtual environment
            return {}
    except OSError:
        return {}  # a folder that this user may not enter, by sudo for example, is not this user's
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise ClaudeScaleError(f"{path} cannot be read ({error.strerror}): mend it, or take it away") from error
    if len(content) > MOST_BYTES:
        raise ClaudeScaleError(f"{path} is longer than {MOST_BYTES} bytes: that is no settings file")
    found = {}
    for number, line in enumerate(content.decode(errors="replace").splitlines(), start=1):
        text = line.strip().removeprefix("export ").lstrip()
        if not text.startswith(PREFIX):
            continue
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise ClaudeScaleError(f"line {number} of {path} gives {one_line(name, 60)} no value: write NAME=VALUE")
        found[name] = _unquoted(value, number, path)
    return found


def _unquoted(value: str, number: int, path: Path) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    if " #" in value:
        raise ClaudeScaleError(
            f"line {number} of {path} has a # in its value: write a comment on a line of its own, or quote the value"
        )
    return value


def _no_setting(name: str, path: Path) -> str:
    if name in ELSEWHERE:
        return f"{name} in {path} has no effect there: it is read from the environment only ({ELSEWHERE[name]})"
    return f"{name} in {path} is no setting: it is one of {', '.join(BY_VARIABLE)}"
