"""Where a setting's value comes from, what a settings file may look like, and that the page of settings is complete."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from claudescale_cli import settings

from tests.doors.command import ended
from tests.support import ROOT

ORDER = ["flag", "environment", ".env", "settings.env", "default"]
FORMAT = [
    pytest.param("CLAUDESCALE_CONTEXT=a", "a", id="plain"),
    pytest.param("  CLAUDESCALE_CONTEXT = a  ", "a", id="spaces"),
    pytest.param("export CLAUDESCALE_CONTEXT=a", "a", id="export"),
    pytest.param('CLAUDESCALE_CONTEXT="a #b"', "a #b", id="quotes"),
    pytest.param("CLAUDESCALE_CONTEXT='a'", "a", id="single-quotes"),
    pytest.param("CLAUDESCALE_CONTEXT=a=b#c", "a=b#c", id="equals"),
    pytest.param("CLAUDESCALE_CONTEXT=$HOME", "$HOME", id="nothing-expanded"),
    pytest.param("CLAUDESCALE_CONTEXT=a\r\n", "a", id="carriage-return"),
    pytest.param("# CLAUDESCALE_CONTEXT=a", "claudescale", id="comment"),
    pytest.param("CLAUDESCALE_CONTEXT=", "claudescale", id="empty"),
    pytest.param("SECRET\nOTHER='x\ny'\n\nCLAUDESCALE_CONTEXT=a", "a", id="others-lines"),
]
BAD = [
    pytest.param("\nCLAUDESCALE_CONTEXT", "line 2 of {} gives CLAUDESCALE_CONTEXT no value: write NAME=VALUE",
                 id="none"),
    pytest.param("CLAUDESCALE_CONTEXT=a # mine", "line 1 of {} has a # in its value: write a comment on a line of its "
                 "own, or quote the value", id="comment"),
    pytest.param("#" * (1 << 20) + "\n", "{} is longer than 1048576 bytes: that is no settings file", id="huge"),
]  # fmt: skip
KNOWN = ", ".join(settings.BY_VARIABLE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder and a person's settings, both empty."""
    place = tmp_path / "work"
    place.mkdir()
    (tmp_path / "xdg" / "claudescale").mkdir(parents=True)
    for name in (*settings.BY_VARIABLE, *settings.ELSEWHERE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(place)
    return place


def own(folder: Path) -> Path:
    return folder.parent / "xdg" / "claudescale" / "settings.env"


def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    return ended(monkeypatch, *arguments), *capfd.readouterr()


@pytest.mark.parametrize("least", range(5), ids=ORDER)
@pytest.mark.parametrize("setting", settings.TABLE, ids=lambda setting: setting.name)
def test_the_order(folder: Path, setting: settings.Setting, least: int) -> None:
    """The first place that has a value gives it, whatever the later ones have."""
    has = [place >= least for place in range(5)]
    if has[2]:
        (folder / ".env").write_text(f"{setting.variable}=from-folder\n", encoding="utf-8")
    if has[3]:
        own(folder).write_text(f"{setting.variable}=from-person\n", encoding="utf-8")
    environment = {"XDG_CONFIG_HOME": str(folder.parent / "xdg")} | ({setting.variable: "from-env"} if has[1] else {})
    found = settings.resolve({setting.name: "from-flag"} if has[0] else {}, environment, folder).values[setting.name]
    person = ("from-person", str(own(folder)))
    wanted: list[tuple[str | None, str]] = [
        ("from-flag", f"flag {setting.flag}"),
        ("from-env", f"environment {setting.variable}"),
        ("from-folder", str(folder / ".env")) if setting.from_folder else person,
        person,
        (setting.default, "default"),
    ]
    assert (found.text, found.source) == wanted[least]


@pytest.mark.parametrize(("text", "value"), FORMAT)
def test_the_format(folder: Path, text: str, value: str) -> None:
    (folder / ".env").write_bytes(text.encode())
    assert settings.resolve({}, {"XDG_CONFIG_HOME": "/nowhere"}, folder).text("context") == value


@pytest.mark.parametrize(("text", "sentence"), BAD)
def test_a_bad_file_is_one_sentence(
    folder: Path, text: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / ".env").write_text(text, encoding="utf-8")
    assert run(monkeypatch, capfd, "config") == (1, "", sentence.format(folder / ".env") + "\n")


def test_a_virtual_environment_is_no_settings_file(folder: Path) -> None:
    (folder / ".env").mkdir()
    assert settings.resolve({}, {"XDG_CONFIG_HOME": "/nowhere"}, folder).text("context") == "claudescale"


def test_without_a_home_and_a_working_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("HOME")
    gone = folder / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert settings.resolve({}, dict(os.environ), settings.here()).text("context") == "claudescale"
    monkeypatch.chdir(folder)


def test_a_strangers_folder_chooses_no_kubeconfig(folder: Path) -> None:
    (folder / ".env").write_text("CLAUDESCALE_KUBECONFIG=evil\n", encoding="utf-8")
    found = settings.resolve({}, {"XDG_CONFIG_HOME": str(folder.parent / "xdg")}, folder)
    assert found.text("kubeconfig") is None
    reason = "because a folder may be a stranger's"
    assert found.notes == [
        f"CLAUDESCALE_KUBECONFIG in {folder / '.env'} is not taken, {reason}: write it to {own(folder)}"
    ]


def test_names_without_effect_are_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / ".env").write_text("CLAUDESCALE_CONTXT=prod\nCLAUDESCALE_KIT=1\nOTHER=1\n", encoding="utf-8")
    code, out, err = run(monkeypatch, capfd, "config", "-o", "json")
    assert code == 0
    why = f"it is read from the environment only ({settings.ELSEWHERE['CLAUDESCALE_KIT']})"
    assert err.splitlines() == [
        f"note: CLAUDESCALE_CONTXT in {folder / '.env'} is no setting: it is one of {KNOWN}",
        f"note: CLAUDESCALE_KIT in {folder / '.env'} has no effect there: {why}",
    ]
    assert [f"note: {note}" for note in json.loads(out)["notes"]] == err.splitlines()


def test_config(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("CLAUDESCALE_NAMESPACE", "shop")
    monkeypatch.setenv("COLUMNS", "200")
    code, out, err = run(monkeypatch, capfd, "--context", "staging", "config")
    assert (code, err) == (0, "")
    assert [re.split(r"  +", line.rstrip()) for line in out.splitlines()] == [
        ["setting", "value", "source"],
        ["CLAUDESCALE_CONTEXT", "staging", "flag --context"],
        ["CLAUDESCALE_NAMESPACE", "shop", "environment CLAUDESCALE_NAMESPACE"],
        ["CLAUDESCALE_KUBECONFIG", "($KUBECONFIG, else ~/.kube/config)", "default"],
        ["CLAUDESCALE_NAMESPACES", "(the namespace above)", "default"],
        ["CLAUDESCALE_TTL_SECONDS_AFTER_FINISHED", "900", "default"],
        ["CLAUDESCALE_HEALTH_PORT", "(none)", "default"],
        ["CLAUDESCALE_LOG_LEVEL", "INFO", "default"],
    ]
    facts = json.loads(run(monkeypatch, capfd, "--context", "staging", "config", "-o", "json")[1])
    assert list(facts["settings"]) == list(settings.BY_VARIABLE)
    assert facts["settings"]["CLAUDESCALE_CONTEXT"] == {
        "value": "staging", "source": "flag --context", "flag": "--context",
    }  # fmt: skip
    assert facts["settings"]["CLAUDESCALE_KUBECONFIG"]["value"] is None


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "٣", "9" * 11])
def test_a_number_that_is_none(text: str) -> None:
    found = settings.resolve({}, {"CLAUDESCALE_HEALTH_PORT": text, "XDG_CONFIG_HOME": "/nowhere"}, Path("/nowhere"))
    with pytest.raises(ClaudeScaleError) as caught:
        found.number("health_port")
    assert str(caught.value) == (
        f"CLAUDESCALE_HEALTH_PORT is {text!r} (environment CLAUDESCALE_HEALTH_PORT): write a whole number"
    )
    assert found.number("health_port", 8080) == 8080


def test_the_example_lists_all_with_flag_and_default() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    listed = re.findall(r"^#(CLAUDESCALE_\w+)=(.*)$", text, re.MULTILINE)
    assert listed == [(setting.variable, setting.default or "") for setting in settings.TABLE]
    for setting in settings.TABLE:
        assert f" Flag {setting.flag}\n" in text
        assert setting.meaning.rstrip(".") in text
        assert setting.from_folder or "Not taken from a folder's .env" in text


def test_every_name_in_the_repository_is_a_setting_or_known() -> None:
    """A name that some part reads is either in the table, or in the list of those that others read."""
    folders = ("cli", "collections", "mcp_plugin", "tools", "tests/kit/claudescale_kit", "Makefile")
    files = [path for name in folders for path in [ROOT / name, *(ROOT / name).rglob("*")] if path.is_file()]
    text = "\n".join(path.read_text(encoding="utf-8", errors="ignore") for path in files if path.suffix != ".pyc")
    names: set[Any] = set(re.findall(r"\bCLAUDESCALE_[A-Z_]+[A-Z]\b", text))
    assert names - {*settings.BY_VARIABLE, *settings.ELSEWHERE} == set()
