#!/usr/bin/python
# Copyright (c) 2026 ClaudeScale contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mcp_client
short_description: ClaudeScale's MCP server in the configuration of Claude Desktop or Claude Code
version_added: 0.1.0
author:
  - ClaudeScale contributors (@claudescale)
description:
  - Adds ClaudeScale's MCP server to a client's configuration, brings its entry up to date, or takes it out.
  - Every other server, every unknown key, their order, the indentation, the line ends and a byte order mark stay as
    they are. What a person added to our entry stays too, as more variables in its C(env) do.
  - A note in the configuration's C(_meta) says that servers are added and never overwritten, and lists what was made
    for our entry, so that O(state=absent) leaves the very file from before.
  - The content before a change is kept beside the file, in a file that ends in C(.claudescale.bak); the newest five are
    kept. The file is replaced in one step, and its mode, its owner and a link that leads to it stay.
  - A file that is no JSON object, such as one with comments or with a name twice in one object, is refused and left
    alone, and so is an entry of our name that starts another server.
  - Where another program changes the file in the meantime, its change is taken up and ours is made to that.
requirements:
  - Python >= 3.11 on the host of the client
notes:
  - A client reads its configuration when it starts. Start Claude Desktop anew after a change.
  - No cluster needs to run, and none is asked.
  - An entry is taken as ours where its C(args) have C(-m claudescale_mcp), or where its command is C(claudescale mcp).
attributes:
  check_mode:
    description: Can run in check mode and tell what would change without changing anything.
    support: full
    details:
      - A file that could not be written fails in check mode, too.
  diff_mode:
    description: Returns what changed, or in check mode would change.
    support: full
    details:
      - Only what is ours is shown, because other servers' entries may hold secrets.
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
  platform:
    description: Where it runs.
    support: full
    platforms: posix
options:
  state:
    description:
      - V(present) adds our entry or brings it up to date.
      - V(absent) takes it out, with our note, and with what had to be made for it and is empty now.
    type: str
    choices: [present, absent]
    default: present
  client:
    description: Whose configuration it is. For V(claude_code) that is the one of the scope C(user).
    type: str
    choices: [claude_desktop, claude_code]
    default: claude_desktop
  path:
    description:
      - The configuration's file.
      - For V(claude_desktop) it is by default C(claude_desktop_config.json) in C(~/.config/Claude) on Linux, where
        E(XDG_CONFIG_HOME) is respected, and in C(~/Library/Application Support/Claude) on macOS.
      - For V(claude_code) it is by default C(~/.claude.json), or C(.claude.json) in E(CLAUDE_CONFIG_DIR).
    type: path
  create:
    description:
      - Whether a file that is not there is made. With V(false) nothing is done where there is none.
      - Claude Desktop's folder is made as well.
    type: bool
    default: true
  name:
    description: The server's name in the configuration, of up to 64 letters, digits, hyphens and underscores.
    type: str
    default: claudescale
  interpreter:
    description:
      - The Python interpreter that has C(claudescale_mcp), with its whole path.
      - The one that runs this module by default.
    type: path
  kubeconfig:
    description:
      - The kubeconfig that the server uses. Several files may be named as in E(KUBECONFIG).
      - E(KUBECONFIG) by default, else C(~/.kube/config).
    type: str
  context:
    description: The kubeconfig's context.
    type: str
    default: claudescale
  namespace:
    description: The namespace of the workloads and leases.
    type: str
    default: claudescale
  allow_writes:
    description: Whether the server also has the tools that ask for leases and end them. Without it, it only reads.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Let Claude Desktop see the cluster
  claudescale.core.mcp_client:

- name: Let Claude Code ask for leases, too
  claudescale.core.mcp_client:
    client: claude_code
    interpreter: /opt/claudescale/.venv/bin/python
    kubeconfig: ~/.kube/config
    context: claudescale
    allow_writes: true

- name: Have it in Claude Code where that is used already
  claudescale.core.mcp_client:
    client: claude_code
    create: false

- name: Take it out of Claude Desktop
  claudescale.core.mcp_client:
    state: absent
"""

RETURN = r"""
msg:
  description: What came of it, in one sentence for people.
  returned: always
  type: str
  sample: "Claude Desktop: server claudescale was added to /home/me/.config/Claude/claude_desktop_config.json"
path:
  description: The configuration's file.
  returned: success
  type: str
  sample: /home/me/.config/Claude/claude_desktop_config.json
backup:
  description: The file that keeps the content from before the change; V(none) where there was no file, or no change.
  returned: success
  type: str
  sample: /home/me/.config/Claude/claude_desktop_config.json.20260301T195000123456Z.claudescale.bak
differences:
  description: What changed, or in check mode would change, of what is ours.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The names that lead to the member, joined by dots.
      type: str
    before:
      description: Its value before; V(none) where it was not there.
      type: raw
    after:
      description: Its value now; V(none) where it is not there any more.
      type: raw
  sample:
    - path: mcpServers.claudescale.args
      before: [-P, -m, claudescale_mcp, --context, claudescale, --namespace, claudescale]
      after: [-P, -m, claudescale_mcp, --context, claudescale, --namespace, claudescale, --allow-writes]
diff:
  description: The same for diff mode, by path.
  returned: success
  type: dict
reason:
  description: What is wrong, in one word.
  returned: failure
  type: str
  sample: ConfigurationBroken
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.claudescale.core.plugins.module_utils.clients import configuration, files
from ansible_collections.claudescale.core.plugins.module_utils.clients.configuration import Difference, Edited
from ansible_collections.claudescale.core.plugins.module_utils.clients.entry import Server
from ansible_collections.claudescale.core.plugins.module_utils.clients.places import Client, path_of
from ansible_collections.claudescale.core.plugins.module_utils.errors import Fault

ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "client": {"type": "str", "choices": [client.value for client in Client], "default": "claude_desktop"},
    "path": {"type": "path"},
    "create": {"type": "bool", "default": True},
    "name": {"type": "str", "default": "claudescale"},
    "interpreter": {"type": "path"},
    "kubeconfig": {"type": "str"},
    "context": {"type": "str", "default": "claudescale"},
    "namespace": {"type": "str", "default": "claudescale"},
    "allow_writes": {"type": "bool", "default": False},
}


def server_from(parameters: Mapping[str, Any]) -> Server:
    """What the client is to start; Fault where it could not."""
    return Server(
        interpreter=parameters["interpreter"] or sys.executable,
        kubeconfig=files.whole_paths(parameters["kubeconfig"] or os.environ.get("KUBECONFIG") or "~/.kube/config"),
        context=parameters["context"],
        namespace=parameters["namespace"],
        allow_writes=parameters["allow_writes"],
    )


def perform(parameters: Mapping[str, Any], *, check: bool) -> dict[str, Any]:
    """Do what the parameters say; the module's result, with `warnings`."""
    client, name, present = Client(parameters["client"]), parameters["name"], parameters["state"] == "present"
    path = Path(parameters["path"] or path_of(client, sys.platform, os.environ)).absolute()
    entry = server_from(parameters).entry(typed=client is Client.CLAUDE_CODE) if present else {}

    def edit(text: str | None) -> Edited:
        if not present:
            return configuration.remove(text, name, source=str(path))
        if text is None and not parameters["create"]:
            return Edited(text=None)
        return configuration.add(text, name, entry, source=str(path))

    done = files.change(path, edit, check=check, make_folder=client is Client.CLAUDE_DESKTOP)
    differences = done.edited.differences
    if done.changed:
        told = f"{'would be' if check else 'was'} {_deed(differences, name)} {path}"
    elif present and done.edited.text is None:
        told = f"is not added, because there is no {path}"
    else:
        told = f"{'is as it should be' if present else 'is not'} in {path}"
    return {
        "changed": done.changed,
        "msg": f"{client.title}: server {name} {told}",
        "path": str(path),
        "backup": str(done.backup) if done.backup is not None else None,
        "differences": [vars(one) for one in differences],
        "diff": {
            "before": {one.path: one.before for one in differences if one.before is not None},
            "after": {one.path: one.after for one in differences if one.after is not None},
        },
        "warnings": list(done.edited.remarks),
    }


def _deed(differences: Sequence[Difference], name: str) -> str:
    if all(one.after is None for one in differences):
        return "taken out of"
    entry = next((one for one in differences if one.path == f"{configuration.SERVERS}.{name}"), None)
    return "added to" if entry is not None else "brought up to date in"


def main() -> None:
    """Parse, call the engine, translate."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = perform(module.params, check=module.check_mode)
    except Fault as fault:
        module.fail_json(msg=str(fault), reason=fault.code)
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
