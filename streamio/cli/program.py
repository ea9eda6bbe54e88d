"""The program: a click group that imports only the command that runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from io import TextIOWrapper
from typing import Any

import click
from click.shell_completion import CompletionItem

from ..errors import Abandoned
from .ending import FAILED, Failure, exit_code_for, flush, quiet_on_closed_pipe, refuse_closed_output, tell
from .session import OUTPUTS, Session
from .table import ALIASES, COMMANDS

URL_HELP = "The server: redis://, rediss:// or unix://. Default: $REDIS_URL, else redis://localhost:6379."
OUTPUT_HELP = "Default: table on a terminal; piped, jsonl for entries and json for reports."
EVERYWHERE = "-u, -o, -q, -v and --no-color (see `streamio --help`) may stand here too."
EPILOG = """Positions: start, end, +N, -N, ID, @-10m, @2026-11-20T10:00Z. Durations: 500ms, 10s, 5m, 2h.

Exit codes: 0 done, 1 failed, 2 a check failed, 64 wrong use, 130 Ctrl-C.

Completion: eval "$(_STREAMIO_COMPLETE=bash_source streamio)"; also zsh_source, fish_source."""


class Program(click.Group):
    """The group of all commands in `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported; None where there is none of this name."""
        name = ALIASES.get(cmd_name, cmd_name)
        if name not in COMMANDS:
            return None
        module, function = COMMANDS[name][0].split(":")
        command: click.Command = getattr(import_module(f"{__package__}.{module}"), function)
        return with_global_options(command)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the words begin with."""
        if args and args[0] not in COMMANDS and args[0] not in ALIASES and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], [*COMMANDS, *ALIASES], 1)
            ctx.fail(f"No such command {args[0]!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help of all commands, and import none."""
        other = {name: " ".join(f"(also {alias})" for alias, of in ALIASES.items() if of == name) for name in COMMANDS}
        with formatter.section("Commands"):
            formatter.write_dl([(name, f"{text} {other[name]}".rstrip()) for name, (_, text) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands, or options, that begin so; none is imported."""
        found = [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)]
        return found or click.Command.shell_complete(self, ctx, incomplete)

    def make_context(self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any) -> click.Context:
        """The context; help that nobody reads ends silently."""
        with quiet_on_closed_pipe():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """What the command returns; output that nobody reads ends it silently."""
        with quiet_on_closed_pipe():
            return super().invoke(ctx)


def remembered(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """A callback that writes an option into the session. Given twice, before and after the command, the later one counts."""

    def remember(ctx: click.Context, option: click.Parameter, value: Any) -> None:
        if value is not None:
            setattr(ctx.ensure_object(Session), name, value)

    return remember


def global_options(hidden: bool) -> Iterator[click.Option]:
    """The options that may stand before the command and after it."""
    common: dict[str, Any] = {"expose_value": False, "hidden": hidden, "default": None}
    yield click.Option(["-u", "--url"], metavar="URL", help=URL_HELP, callback=remembered("given_url"), **common)
    kinds = click.Choice(OUTPUTS)
    yield click.Option(["-o", "--output"], type=kinds, help=OUTPUT_HELP, callback=remembered("given_output"), **common)
    yield flag("-q --quiet", "quiet", "Say nothing on stderr but errors.", common)
    yield flag("-v --verbose", "verbose", "Say more; show the traceback of an error.", common)
    yield click.Option(
        ["--no-color"],
        flag_value=False,
        is_flag=True,
        type=click.UNPROCESSED,
        help="No colours. Also: $NO_COLOR.",
        callback=remembered("color"),
        **common,
    )


def flag(words: str, name: str, text: str, common: dict[str, Any], value: bool = True) -> click.Option:
    """An option without a value: standing there, it sets the session's `name`."""
    return click.Option(words.split(), is_flag=True, flag_value=value, type=click.UNPROCESSED, help=text, callback=remembered(name), **common)


def with_global_options(command: click.Command) -> click.Command:
    """The command, and the commands in it, with the global options, where it does not say something else by their names."""
    taken = {word for each in command.params for word in each.opts}
    command.params += [each for each in global_options(hidden=True) if not taken.intersection(each.opts)]
    command.epilog = command.epilog or EVERYWHERE
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        with_global_options(inner)
    return command


def version(ctx: click.Context, option: click.Parameter, asked: bool) -> None:
    """Print the version and end."""
    if asked:
        click.echo(f"streamio {import_module('streamio').__version__}")
        ctx.exit()


VERSION = click.Option(["--version"], is_flag=True, expose_value=False, is_eager=True, callback=version, help="Print streamio's version and exit.")
program = Program(
    "streamio",
    params=[*global_options(hidden=False), VERSION],
    help="See and operate Redis Streams and their consumer groups.",
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    no_args_is_help=True,
)


def run(words: list[str]) -> int:
    """The exit code, once the command has run."""
    session = Session()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # (a name that is not UTF-8 is no reason to fail)
            stream.reconfigure(errors="backslashreplace")
    try:
        refuse_closed_output()
        code = program.main(words, "streamio", standalone_mode=False, obj=session)
        return code if isinstance(code, int) else 0
    except Exception as error:
        tell(error, session.verbose)
        return exit_code_for(error)
    except Abandoned as error:  # by a second signal
        tell(Failure(str(error)), session.verbose)
        return FAILED
    finally:
        session.close()
        flush()
