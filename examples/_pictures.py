"""What the examples share: the option --output, and a picture where matplotlib is there."""

import argparse
from pathlib import Path


def output_folder(description):
    """Read the command line and return the folder for the picture."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).parent / "output",
        metavar="DIR",
        help="folder for the picture (default: output, beside the examples)",
    )
    return parser.parse_args().output


def save(draw, path):
    """Call `draw`, which returns a figure, and write it; or say why there is no picture."""
    try:
        figure = draw()
    except ImportError as error:
        print(f"\nNo picture: {error}")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    print(f"\nwrote {path}")
