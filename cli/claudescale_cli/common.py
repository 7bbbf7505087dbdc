"""What all commands share: the global options, the cluster they name, and how text reaches the terminal."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from enum import StrEnum

from ansible_collections.claudescale.core.plugins.module_utils.cluster.client import ClusterClient
from rich.console import Console
from rich.table import Table

from claudescale_cli.settings import Settings, here, resolve

PLAIN_WIDTH = 120  # where there is no terminal to ask
# CSI and OSC sequences, whole; what is left of others goes with their control characters.
ESCAPES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?")


class Output(StrEnum):
    """How an answer looks."""

    TABLE = "table"
    JSON = "json"


@dataclass(frozen=True, kw_only=True)
class Options:
    """The global options; kubeconfig None means KUBECONFIG, else ~/.kube/config."""

    context: str
    namespace: str
    kubeconfig: str | None
    settings: Settings = field(default_factory=lambda: resolve({}, os.environ, here()))

    def cluster(self) -> ClusterClient:
        """The cluster that is meant; ClaudeScaleError where the kubeconfig does not lead to one."""
        return ClusterClient(context=self.context, namespace=self.namespace, kubeconfig=self.kubeconfig)

    def kubectl_arguments(self) -> list[str]:
        """The same choice, for kubectl."""
        chosen = ["--context", self.context, "--namespace", self.namespace]
        return [*chosen, "--kubeconfig", self.kubeconfig] if self.kubeconfig else chosen


def make_console(*, stderr: bool = False) -> Console:
    """A console that does not wrap at 80 columns where nobody can say how wide the place is."""
    console = Console(stderr=stderr, highlight=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(stderr=stderr, highlight=False, emoji=False, width=PLAIN_WIDTH)
    return console


def plain_table(*columns: str) -> Table:
    """A table without a frame: readable in a terminal and in a log."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        column.overflow = "fold"
    return table


def plain(text: str) -> str:
    """Text from a cluster or a file on one line, without anything that moves a cursor or hides: it is only data."""
    flat = " ".join(ESCAPES.sub("", text).split())
    return "".join(letter for letter in flat if letter.isprintable())
