"""Our entry in a client's configuration: it goes in and out, and nothing else changes by a byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.claudescale.core.plugins.module_utils.clients import configuration, json_text
from ansible_collections.claudescale.core.plugins.module_utils.clients.entry import Server
from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault
from hypothesis import example, given, settings
from hypothesis import strategies as st

NAME = "claudescale"
BOM = "\ufeff"
ENTRY = {"command": "/v/python", "args": ["-m", "claudescale_mcp"], "env": {"KUBECONFIG": "/k"}}
WRITES = {**ENTRY, "args": ["-m", "claudescale_mcp", "--allow-writes"]}
NOTE = json.dumps(configuration.NOTE)


def add(text: str | None, entry: dict[str, Any] = ENTRY, name: str = NAME) -> configuration.Edited:
    return configuration.add(text, name, entry, source="FILE")


def remove(text: str | None, name: str = NAME) -> configuration.Edited:
    return configuration.remove(text, name, source="FILE")


def added(text: str | None, entry: dict[str, Any] = ENTRY, name: str = NAME) -> str:
    """The text with our entry; AssertionError where nothing was changed."""
    edited = add(text, entry, name)
    assert edited.differences
    assert edited.text is not None
    return edited.text


OWN_LINES = """\
{
  "mcpServers": {
    "claudescale": {
      "command": "/v/python",
      "args": [
        "-m",
        "claudescale_mcp"
      ],
      "env": {
        "KUBECONFIG": "/k"
      }
    }
  },
  "_meta": {
    "claudescale": {
      "note": NOTE,
      "made": MADE
    }
  }
}
"""
ENTRY_DENSE = '{"command":"/v/python","args":["-m","claudescale_mcp"],"env":{"KUBECONFIG":"/k"}}'
ENTRY_WIDE = '{"command": "/v/python", "args": ["-m", "claudescale_mcp"], "env": {"KUBECONFIG": "/k"}}'
META_WIDE = '"_meta": {"claudescale": {"note": NOTE, "made": ["_meta"]}}'
TABS = """\
{
\t"theme": "d\\u00e4rk",
\t"mcpServers": {
\t\t"one": {"command": "one", "args": [ ]},
\t\t"two": {
\t\t\t"url": "https://two.example"
\t\t}
\t},
\t"n": [1.0, 1e400, -0]
}"""
TABS_AFTER = """\
{
\t"theme": "d\\u00e4rk",
\t"mcpServers": {
\t\t"one": {"command": "one", "args": [ ]},
\t\t"two": {
\t\t\t"url": "https://two.example"
\t\t},
\t\t"claudescale": {
\t\t\t"command": "/v/python",
\t\t\t"args": [
\t\t\t\t"-m",
\t\t\t\t"claudescale_mcp"
\t\t\t],
\t\t\t"env": {
\t\t\t\t"KUBECONFIG": "/k"
\t\t\t}
\t\t}
\t},
\t"n": [1.0, 1e400, -0],
\t"_meta": {
\t\t"claudescale": {
\t\t\t"note": NOTE,
\t\t\t"made": [
\t\t\t\t"_meta"
\t\t\t]
\t\t}
\t}
}"""


def made(*names: str) -> str:
    lines = ",\n".join(f'        "{name}"' for name in names)
    return f"[\n{lines}\n      ]"


# What a person has, and what stands there afterwards; NOTE is our sentence.
STYLES = {
    "absent": (None, OWN_LINES.replace("MADE", made("file", "mcpServers", "_meta"))),
    "empty": ("", OWN_LINES.replace("MADE", made("content", "mcpServers", "_meta"))),
    "empty-with-bom": (BOM, BOM + OWN_LINES.replace("MADE", made("content", "mcpServers", "_meta"))),
    "empty-object": ("{}", OWN_LINES.replace("MADE", made("mcpServers", "_meta")).rstrip()),
    "two-servers-and-tabs": (TABS, TABS_AFTER),
    "crlf-and-bom": (BOM + TABS.replace("\n", "\r\n"), BOM + TABS_AFTER.replace("\n", "\r\n")),
    "one-dense-line": (
        '{"a":1,"mcpServers":{}}\n',
        f'{{"a":1,"mcpServers":{{"claudescale":{ENTRY_DENSE}}},"_meta":{{"claudescale":{{"note":NOTE,"made":["_meta"]}}}}}}\n',
    ),
    "one-wide-line": (
        '{"mcpServers": {"x": 1}}',
        f'{{"mcpServers": {{"x": 1, "claudescale": {ENTRY_WIDE}}}, META_WIDE}}',
    ),
    "meta-of-others": (
        '{"_meta":{"x":0},"mcpServers":{}}',
        f'{{"_meta":{{"x":0,"claudescale":{{"note":NOTE,"made":[]}}}},"mcpServers":{{"claudescale":{ENTRY_DENSE}}}}}',
    ),
}


@pytest.mark.parametrize("case", STYLES)
def test_it_is_added_in_the_style_of_the_file_and_leaves_no_trace(case: str) -> None:
    before, after = STYLES[case]
    after = after.replace("META_WIDE", META_WIDE).replace("NOTE", NOTE)
    assert added(before) == after
    assert add(after) == configuration.Edited(text=after)
    assert added(after, WRITES) != after
    assert remove(after).text == before
    assert remove(added(after, WRITES)).text == before
    assert remove(before) == configuration.Edited(text=before)


def test_differences_are_what_is_ours() -> None:
    new = added('{"mcpServers": {"x": {"env": {"TOKEN": "secret"}}}}')
    assert [one.path for one in add('{"mcpServers": {}}').differences] == [
        "mcpServers.claudescale",
        "_meta.claudescale",
    ]
    (change,) = add(new, WRITES).differences
    assert vars(change) == {
        "path": "mcpServers.claudescale.args", "before": ENTRY["args"], "after": WRITES["args"],
    }  # fmt: skip
    gone = remove(new).differences
    assert [(one.path, one.after) for one in gone] == [("mcpServers.claudescale", None), ("_meta.claudescale", None)]
    assert gone[0].before == ENTRY
    assert "secret" not in repr((add(new, WRITES), gone)).replace(repr(add(new, WRITES).text), "")


def test_what_a_person_added_to_our_entry_stays() -> None:
    theirs = (
        '{"mcpServers": {"claudescale": {"timeout": 1e400, "args": ["-m", "claudescale_mcp", "--namespace", "x"],'
        ' "command": "/old", "env": {"HTTPS_PROXY": "http://me:secret@p", "KUBECONFIG": "/old"}, "disabled": true}}}'
    )
    edited = add(theirs)
    assert edited.text is not None
    assert '"timeout": 1e400' in edited.text
    found = json.loads(edited.text)["mcpServers"]["claudescale"]
    assert found.pop("timeout") == float("inf")
    assert found == {
        **ENTRY, "disabled": True, "env": {"HTTPS_PROXY": "http://me:secret@p", "KUBECONFIG": "/k"},
    }  # fmt: skip
    assert [one.path for one in edited.differences] == [
        "mcpServers.claudescale.command", "mcpServers.claudescale.args", "mcpServers.claudescale.env.KUBECONFIG",
        "_meta.claudescale",
    ]  # fmt: skip
    assert "secret" not in repr(remove(edited.text).differences)
    assert remove(edited.text).text == '{"mcpServers": {}}'


BROKEN = {
    "comment": ('{\n  // mine\n  "a": 1\n}', 2, 3, "a comment, which JSON does not have"),
    "comment-behind": ('{"a": 1} # mine', 1, 10, "a comment, which JSON does not have"),
    "comma-at-the-end": ('{\r\n  "a": [1],\r\n}', 2, 11, "a comma with nothing but } after it"),
    "comma-at-the-end-of-a-list": ('{"a": [1,\n]}', 1, 9, "a comma with nothing but ] after it"),
    "cut": ('{\n  "mcpServers": {\n', 3, 1, "the end of the file where a name in double quotes belongs"),
    "cut-in-a-string": ('{"mcpServers": {"x', 1, 17, "a string that does not end in its line"),
    "no-comma": ('{"a": 1\n "b": 2}', 2, 2, """'"' where a comma or } belongs"""),
    "no-colon": ('{"a" 1}', 1, 6, "'1' where a colon belongs"),
    "single-quotes": ("{'a': 1}", 1, 2, '"\'" where a name in double quotes belongs'),
    "two-objects": ("{}{}", 1, 3, "'{' where the end of the file belongs"),
    "a-list": (BOM + "[]", 1, 1, "'[' where { belongs"),
    "escape": (BOM + '{"a": "\\x"}', 1, 8, "a backslash that is no escape of JSON"),
    "control-character": ('{"a": "\x1b"}', 1, 8, "the control character U+001B in a string"),
    "word": ('{"a": True}', 1, 7, "'T' where a value belongs"),
    "infinity": ('{"a": -Infinity}', 1, 7, "'-' where a value belongs"),
    "name-twice": ('{"a": 1,\n "\\u0061": 2}', 2, 2, 'the name "a" for the second time in one object'),
    "name-twice-inside": ('{"x": {"b": 1, "b": 1}}', 1, 16, 'the name "b" for the second time in one object'),
    "servers-are-a-list": ('{"mcpServers":\n []}', 2, 2, "no object as the value of mcpServers"),
    "servers-are-nothing": ('{"mcpServers": null}', 1, 16, "no object as the value of mcpServers"),
    "too-deep": ('{"a":' + "[" * 100, 1, 105, "more than 100 objects and lists in each other"),
    "a-byte-order-mark-inside": ('{}\n\ufeff', 2, 1, "'\\ufeff' where the end of the file belongs"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_json_is_refused_with_its_place(case: str) -> None:
    text, line, column, what = BROKEN[case]
    for edit in (add, remove):
        with pytest.raises(Fault) as refused:
            edit(text)
        assert str(refused.value) == (
            f"line {line}, column {column} of FILE has {what} (ConfigurationBroken): "
            "mend the file; nothing was changed in it."
        )


FOREIGN = {
    "another-command": {"command": "/usr/bin/other", "args": ["-m", "other"]},
    "by-url": {"type": "http", "url": "https://claudescale.example/claudescale_mcp"},
    "another-module": {"command": "python", "args": ["claudescale_mcp.py", "-m"]},
    "another-program": {"command": "/opt/not-claudescale", "args": ["mcp"]},
    "our-program-doing-else": {"command": "claudescale", "args": ["status"]},
    "no-arguments": {"command": "claudescale"},
    "a-text": "-m claudescale_mcp",
    "nothing": None,
}


@pytest.mark.parametrize("case", FOREIGN)
def test_an_entry_of_our_name_that_is_not_ours_is_never_overwritten(case: str) -> None:
    text = json.dumps({"mcpServers": {NAME: FOREIGN[case]}}, indent=1)
    with pytest.raises(Fault, match=r"^line 3 of FILE has another server than ours under the name claudescale"):
        add(text)
    assert remove(text) == configuration.Edited(
        text=text, remarks=("mcpServers.claudescale of FILE is another server than ours, and stays",)
    )


OURS = {
    "from-a-clone": {"command": "/old/.venv/bin/python", "args": ["-m", "claudescale_mcp", "--allow-writes"]},
    "with-options": {"command": "/p", "args": ["-P", "-m", "claudescale_mcp"], "env": None},
    "by-another-program": {"command": "uv", "args": ["run", "python", "-m", "claudescale_mcp"]},
    "by-our-command": {"command": "/old/bin/claudescale", "args": ["--context", "x", "mcp"], "type": "stdio"},
    "by-our-command-on-windows": {"command": "C:\\venv\\Scripts\\claudescale.exe", "args": ["mcp"]},
}


@pytest.mark.parametrize("case", OURS)
def test_an_entry_that_starts_our_server_is_brought_up_to_date_and_taken_out(case: str) -> None:
    text = json.dumps({"mcpServers": {NAME: OURS[case], "x": {}}})
    found = json.loads(added(text))["mcpServers"]
    assert list(found) == [NAME, "x"]
    assert found[NAME] == {**OURS[case], **ENTRY}
    assert json.loads(remove(text).text or "") == {"mcpServers": {"x": {}}}


def test_the_note_stays_until_the_last_of_our_servers_goes() -> None:
    one = added("{}")
    two = added(one, WRITES, "second")
    left = remove(two)
    assert [difference.path for difference in left.differences] == ["mcpServers.claudescale"]
    assert left.text is not None
    assert configuration.NOTE in left.text
    assert remove(left.text, "second").text == "{}"
    assert remove(remove(two, "second").text).text == "{}"


def test_an_older_note_is_brought_up_to_date_and_what_it_lists_is_kept() -> None:
    text = added(None)
    older = text.replace(NOTE, '"Once we said it so."')
    (change,) = add(older).differences
    assert (change.path, change.before) == ("_meta.claudescale.note", "Once we said it so.")
    assert add(older).text == text
    assert remove(older).text is None


@pytest.mark.parametrize("meta", ['"theirs"', "null", "[]", "7"])
def test_meta_that_is_no_object_stays_and_is_told(meta: str) -> None:
    text = f'{{"_meta": {meta}, "mcpServers": {{}}}}'
    edited = add(text)
    assert edited.remarks == ("_meta of FILE is no object, so that our note is not in it",)
    assert f'"_meta": {meta}, ' in (edited.text or "")
    assert add(edited.text).differences == ()
    assert remove(edited.text).text == text


@pytest.mark.parametrize("note", ['"theirs"', '{"note": "x"}', '{"note": 1, "made": []}', '{"note": "", "made": [1]}'])
def test_a_note_that_is_not_ours_stays_and_is_told(note: str) -> None:
    text = f'{{"_meta": {{"claudescale": {note}}}, "mcpServers": {{}}}}'
    edited = add(text)
    assert edited.remarks == ("_meta.claudescale of FILE is no note of ours, and stays",)
    assert remove(edited.text).text == text


def test_what_we_made_stays_where_others_have_put_something_into_it() -> None:
    found = json.loads(added(None))
    found["mcpServers"]["later"] = {"command": "later"}
    found["preferences"] = {}
    left = remove(json.dumps(found))
    assert json.loads(left.text or "") == {"mcpServers": {"later": {"command": "later"}}, "preferences": {}}
    # And an empty object that others made, which our note does not list.
    assert remove('{"mcpServers": {}, "_meta": {}}').differences == ()


def test_our_place_is_kept_and_those_behind_us_stay() -> None:
    before = '{\n  "mcpServers": {\n    "a": {},\n    "b": {}\n  }\n}\n'
    for order in (["claudescale", "a", "b"], ["a", "claudescale", "b"]):
        servers = {name: ENTRY if name == NAME else {} for name in order}
        text = json.dumps({"mcpServers": servers}, indent=2) + "\n"
        assert list(json.loads(added(text, WRITES))["mcpServers"]) == order
        assert remove(added(text, WRITES)).text == before


@pytest.mark.parametrize("name", ["", "a b", "a.b", "ü", "x" * 65, '"'])
def test_a_name_that_no_client_takes_is_refused(name: str) -> None:
    for edit in (lambda: add("{}", name=name), lambda: remove("{}", name)):
        with pytest.raises(Fault, match="is no name of a server"):
            edit()


# Properties: whatever JSON a person has, in whatever usual style.
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
names = words.filter(lambda name: name not in (NAME, "mcpServers", "_meta"))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))
members = st.builds(
    lambda rest, ours: [*rest.items(), *ours.items()],
    st.dictionaries(names, values, max_size=4),
    st.fixed_dictionaries({}, optional={"mcpServers": st.dictionaries(names, values, max_size=3), "_meta": values}),
)
documents = members.flatmap(st.permutations).map(dict)
styles = st.fixed_dictionaries(
    {
        "indent": st.sampled_from([None, 0, 1, 2, 4, "\t"]),
        "separators": st.sampled_from([(",", ":"), (",", ": "), (", ", ": ")]),
        "ensure_ascii": st.booleans(),
    }
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    text = json.dumps(draw(documents), **draw(styles))
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return draw(st.sampled_from(["", BOM])) + text + draw(st.sampled_from(["", "\n", "\r\n", " \n\n"]))


def foreign(text: str) -> Any:
    """What is not ours, with the order and the spelling of numbers."""

    def pairs(found: list[tuple[str, Any]]) -> Any:
        return [(name, value) for name, value in found if name != NAME]

    found = json.loads(text.removeprefix(BOM), object_pairs_hook=pairs, parse_int=str, parse_float=str)
    return [(name, value) for name, value in found if not (name in ("mcpServers", "_meta") and value == [])]


@settings(deadline=None)
@given(text=texts())
@example(text='{"_meta": {}, "mcpServers": {}}')
@example(text='{"_meta": null}')
def test_in_and_out_again_leaves_the_very_text(text: str) -> None:
    """Invariant: present then absent gives the same text, present twice changes nothing, others' keys stay."""
    after = added(text)
    assert json.loads(after.removeprefix(BOM))["mcpServers"][NAME] == ENTRY
    assert foreign(after) == foreign(text)
    assert add(after).differences == ()
    assert add(after).text == after
    changed = added(after, WRITES)
    assert foreign(changed) == foreign(text)
    assert added(changed) == after
    # Where there is no place for our note, an empty object may stay.
    without_note = NOTE not in after and '"mcpServers"' not in text
    for left in (remove(after).text, remove(changed).text):
        assert left == text or without_note
        assert foreign(left or "") == foreign(text)
    body = after.rstrip()
    assert body.count("\r\n") == (body.count("\n") if text.partition("\n")[0].endswith("\r") else 0)
    assert after.startswith(BOM) == text.startswith(BOM)


def strictly(text: str) -> bool:
    """Whether Python's own parser takes the text as one object without names that come twice."""

    def unique(found: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(found)) != len(found):
            raise ValueError
        return dict(found)

    def no_word(word: str) -> Any:
        raise ValueError(word)

    try:
        found = json.loads(text.removeprefix(BOM), object_pairs_hook=unique, parse_constant=no_word)
    except ValueError:
        return False
    return isinstance(found, dict)


PIECES = ['"', ",", ":", "{", "}", "[", "]", "\\", "\\u12", "0", "-", ".", "e", "true", "//", "\n", "\t", "\x00", "é"]


@settings(deadline=None)
@given(text=texts(), place=st.integers(0, 400), width=st.integers(0, 3), piece=st.sampled_from(["", *PIECES]))
def test_what_is_taken_is_what_json_is(text: str, place: int, width: int, piece: str) -> None:
    """Invariant: a text with one flaw in it is taken exactly where Python's own parser takes it."""
    place = min(place, len(text))
    flawed = text[:place] + piece + text[place + width :]
    try:
        json_text.scan(flawed, "FILE")
    except Fault as fault:
        assert fault.code == "ConfigurationBroken"
        taken = False
    else:
        taken = True
    assert taken == strictly(flawed)


def test_the_entry_of_a_server_can_be_added() -> None:
    server = Server(interpreter="/p", kubeconfig="/k", context="c", namespace="n", allow_writes=True)
    for typed in (False, True):
        found = json.loads(added(None, server.entry(typed=typed)))["mcpServers"][NAME]
        assert found == server.entry(typed=typed)
        assert found.get("type") == ("stdio" if typed else None)
