"""The command line: one command per file in ``commands``, loaded when it is called."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress

import click

from . import __version__
from .errors import Cancelled, ProtolabelError

_COMMANDS = {
    "label": "Label a raster from support polygons.",
    "vectorize": "Turn a label map into polygons.",
    "accuracy": "Tell how good a label map is, by points, polygons or another raster.",
    "sample-points": "Draw points on a label map for the accuracy assessment.",
    "inspect": "Print what the tool understands of a raster.",
    "models": "List, show, verify, add and remove the models that can be used.",
    "sample": "Generate the sample orthophoto, its labels and support polygons.",
    "compare": "Draw raster, support and label maps side by side.",
    "finetune": "Fine-tune a model on your own classes.",
    "train": "Train an encoder by episodes.",
    "data": "Check datasets for training and evaluation.",
    "evaluate": "Measure a method on episodes.",
    "reproduce": "Measure a table or figure of the papers.",
}


class LazyGroup(click.Group):
    """Imports a command's module only when that command is used, so that ``--help`` answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands, in the order of use."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in _COMMANDS:
            return None
        module = cmd_name.replace("-", "_")
        command: click.Command = importlib.import_module(f".commands.{module}", __package__).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="protolabel")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def protolabel(debug: bool) -> None:
    """Protolabel: label an aerial raster from a few polygons per class."""


def main() -> None:
    """Run the command line and exit."""
    # A program without a terminal may have closed them.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # batch systems ask so; the same as Ctrl-C
    code = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    # At once: everything is closed, and threads in the middle of a tile have nothing left to say.
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run the command line.

    Args:
        arguments: Without the program's name.

    Returns:
        0; 2 for what the user can mend, which is one sentence on stderr; 130 after Ctrl-C; 1 for the unexpected, and
        for a check that has found something.
    """
    # The option may stand anywhere: people add it to the end of the command that failed.
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        code = protolabel.main(arguments, prog_name="python -m backend", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        return 2
    except click.ClickException as error:
        return _fail(error.format_message(), debug)
    except ProtolabelError as error:
        return _fail(str(error), debug)
    except (Cancelled, KeyboardInterrupt, click.Abort) as error:
        click.echo(str(error) or "Cancelled; nothing was written.", err=True)
        return 130
    except BrokenPipeError:
        return 1
    except MemoryError:
        return _fail(
            "Not enough memory; close other programs, or label a part of the raster with --extent.", debug
        )
    except Exception as error:
        text = f"Unexpected error ({type(error).__name__}: {error}); run again with --debug and report it."
        return _fail(text, debug, 1)
    # A command's own, as that of a check that has found something.
    return code if isinstance(code, int) else 0


def _fail(message: str, debug: bool, code: int = 2) -> int:
    if debug:
        traceback.print_exc()
    click.echo(f"Error: {message}", err=True)
    return code
