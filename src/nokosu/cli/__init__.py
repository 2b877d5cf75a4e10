"""The command line: `main`, `run`, and a group that imports a command's module only when the command is called.

Here the errors of all commands become an exit code and two lines on stderr, once: `Error: what is wrong` and, where
there is one, `Try: what to do next`. Exit codes: 0 done, 1 not found or nothing, 2 usage, 3 refused, 4 store fault or a
bug of ours, 5 mesh fault; 130 and 143 interrupted or terminated, 141 when nobody reads the result any more.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from types import FrameType
from typing import Final, NoReturn

import click
from click.shell_completion import CompletionItem, shell_complete

from nokosu import __version__
from nokosu.cli import output
from nokosu.errors import NokosuError, UsageError

COMMANDS: Final = {
    "save": ("save", "Save a memory."),
    "search": ("search", "Find memories by words."),
    "show": ("show", "Show one memory with all its fields."),
    "list": ("list_", "List the memories last written."),
    "edit": ("edit", "Change a memory."),
    "forget": ("forget", "Hide a memory, or erase it for good."),
    "restore": ("restore", "Bring a forgotten memory back."),
    "brief": ("brief", "Print what an agent should know before it starts."),
    "status": ("status", "Show where everything lives, and how much there is."),
    "doctor": ("doctor", "Examine this installation, and say what to do."),
    "verify": ("verify", "Check every record against its signature, hash and chain."),
    "rebuild": ("rebuild", "Make the search index anew from the log."),
    "backup": ("backup", "Copy the store, keys included, into one file."),
    "export": ("export", "Write all memories as JSON lines."),
    "invite": ("invite", "Invite another device, and print the line to type there."),
    "join": ("join", "Join this device to another one that invites it."),
    "space": ("space", "List the spaces, or make one to share with others."),
    "devices": ("devices", "List the devices that share memories with this one."),
    "sync": ("sync", "Compare with the other devices now, and wait for them."),
    "revoke": ("revoke", "End a device that was lost, for good."),
    "hub": ("hub", "Make an always-on machine a hub, and see the hubs."),
    "node": ("node", "See, start and stop the process that connects the devices."),
    "mcp": ("mcp", "Serve coding agents over MCP, or print how to set one up."),
    "try": ("try_", "Take a guided tour of under a minute, in a throwaway home."),
    "completion": ("completion", "Print the line that turns on completion in a shell."),
}
"""Each command's module below `nokosu.cli`, and its line in the help, so that the help imports none of them."""

_NODE_BEFORE: Final = frozenset({"status", "devices"})
_NODE_AFTER: Final = frozenset({"save", "search", "show", "list", "edit", "forget", "restore", "brief"})
"""Commands that see to it that the node runs, where a space is shared: to tell of it, or when their answer was given."""

_COMPLETE: Final = "_NOKOSU_COMPLETE"
_LITERAL: Final = ("save", "search", "edit")  # their arguments may begin with a hyphen
_BROKEN_PIPE, _INTERRUPTED, _TERMINATED = 141, 130, 143


class _Group(click.Group):
    """The commands of `COMMANDS`, each imported when it is called or its own help is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"nokosu.cli.{COMMANDS[cmd_name][0]}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            near = get_close_matches(args[0], COMMANDS, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            ctx.fail(f"no such command: {args[0]}{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [CompletionItem(name, help=line) for name, (_, line) in COMMANDS.items() if name.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)


@click.group(
    cls=_Group,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog='\b\nExamples:\n  nokosu save "Deploys run from the main branch only."\n  nokosu search deploys',
)
@click.version_option(__version__, prog_name="nokosu", message="%(prog)s %(version)s")
@click.pass_context
def group(context: click.Context) -> None:
    """One shared long-term memory for all your coding agents."""
    if context.invoked_subcommand is None:
        output.line(context.get_help())


def main() -> NoReturn:
    """Run the command that the process was started with, and end the process."""
    os._exit(run(sys.argv[1:]))  # all is closed and flushed: Python's own end would only take its 20 ms


def run(args: Sequence[str]) -> int:
    """Run one command, and say what is to be said; its exit code. Nothing is ever raised."""
    os.umask(0o077)
    output.prepare()
    signal.signal(signal.SIGTERM, _terminate)
    try:
        return output.finish(_outcome(args))
    except KeyboardInterrupt:
        return _INTERRUPTED
    except SystemExit:
        return _TERMINATED


def _outcome(args: Sequence[str]) -> int:
    """The exit code of a command, whatever became of it."""
    try:
        return _run(args)
    except NokosuError as error:
        return output.fail(error.message, hint=error.hint, code=error.exit_code)
    except click.UsageError as error:
        return output.fail(error.format_message(), hint=_usage_hint(error), code=UsageError.exit_code)
    except click.ClickException as error:
        return output.fail(error.format_message(), code=NokosuError.exit_code)
    except BrokenPipeError:
        return _BROKEN_PIPE
    except (KeyboardInterrupt, click.Abort):
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the top of every command: what gets here is a bug, and told as one
        return _bug(error)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)


def _run(args: Sequence[str]) -> int:
    if sys.platform == "win32":
        raise UsageError("nokosu runs on Linux and macOS", hint="use it inside WSL2")
    if _COMPLETE in os.environ:
        return shell_complete(group, {}, "nokosu", _COMPLETE, os.environ[_COMPLETE])
    try:
        with group.make_context("nokosu", list(args)) as context:
            if args and args[0] in _NODE_BEFORE:
                import_module("nokosu.cli.start").node()
            code: int = group.invoke(context) or 0
            if args and args[0] in _NODE_AFTER:
                output.flush()
                import_module("nokosu.cli.start").node()
            return code
    except click.exceptions.Exit as end:  # --help and --version
        return end.exit_code


def _usage_hint(error: click.UsageError) -> str:
    path = error.ctx.command_path if error.ctx is not None else "nokosu"
    if isinstance(error, click.NoSuchOption) and path.split()[-1] in _LITERAL:
        return f'{path} --help; words that begin with "-" stand after "--"'
    return f"{path} --help"


def _bug(error: Exception) -> int:
    """One line for an error that nokosu does not raise on purpose; with NOKOSU_DEBUG its traceback before it."""
    if os.environ.get("NOKOSU_DEBUG"):
        sys.excepthook(type(error), error, error.__traceback__)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
    hint = "NOKOSU_DEBUG=1 nokosu ..., and report the traceback"
    return output.fail(f"a bug in nokosu: {type(error).__name__}{where}", hint=hint, code=NokosuError.exit_code)


def _terminate(signal_number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature of a handler
    raise SystemExit(_TERMINATED)
