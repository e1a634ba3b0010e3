r"""The accuracy table: a model and the classical tools on one side of a committed split.

    python benchmarks/accuracy.py --root TRAIN_POOL --model nano --out runs/accuracy.json

The classical tools are slow, so their scores are read from ``docs/baselines.json``, which

    python benchmarks/accuracy.py --root TRAIN_POOL --model none --baselines run \
        --out docs/baselines.json --markdown docs/baselines.md

makes anew: it chooses their settings on the training pictures and then asks for the same objects.
"""

import argparse
import hashlib
import shlex
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from sam_plugins import SamPluginsError, open_segmenter
from sam_plugins.errors import DatasetError
from sam_plugins.evaluation import (
    Report,
    by_group,
    by_set,
    by_size,
    evaluate_baselines,
    evaluate_segmenter,
    read_split,
    tune_baselines,
)
from sam_plugins.evaluation.baselines import GRAB_CUT_SIDE, WALKER_SIDE

GROUPINGS = {"group": by_group, "set": by_set, "size": by_size}
KNOWN_BASELINES = Path(__file__).parents[1] / "docs" / "baselines.json"


def main() -> int:
    """Print the tables and write the report."""
    options = parsed()
    console = Console(stderr=True)
    split = options.split.read_bytes()
    protocol = {
        "split_sha256": hashlib.sha256(split).hexdigest(),
        "subset": options.subset,
        "max_objects_per_image": options.max_objects,
        "min_area": options.min_area,
        "seed": options.seed,
    }
    reports = []
    with Progress(console=console) as progress:
        if options.model != "none":
            reports.append(model_report(options, progress))
        if options.baselines == "run":
            reports.append(baseline_report(options, progress))
        elif options.baselines != "none":
            reports.append(known_report(Path(options.baselines), protocol))
    if not reports:
        raise DatasetError("Nothing is left to measure: name a --model or --baselines.")
    joined = reports[0].joined(*reports[1:])
    report = Report(joined.scores, {**joined.settings, **protocol})
    by = GROUPINGS[options.by]
    Console().print(report.to_table(by))
    text = report.to_markdown(by)
    name = report.settings.get("model")
    margins = report.margins_to_markdown(name, by) if name and len(reports) > 1 else ""
    if margins:
        Console().print(f"{name} minus each other answer, on the same objects:")
        Console().print(margins, soft_wrap=True)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(report.to_json(), encoding="utf-8")
    if options.markdown:
        options.markdown.parent.mkdir(parents=True, exist_ok=True)
        options.markdown.write_text(document(report, text, margins), encoding="utf-8")
    return 0


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--root", type=Path, required=True, help="folder of the pool's sets")
    add("--model", default="nano", help="name or checkpoint; none leaves it out")
    add("--device", help="cpu, cuda, mps")
    add("--precision", default="fp32", help="fp32 or bf16")
    add("--baselines", default=str(KNOWN_BASELINES), help="run, none, or a report to read")
    with resources.as_file(resources.files("sam_plugins.training") / "split.json") as split:
        add("--split", type=Path, default=split, help="split file; the committed one by default")
    add("--subset", default="val", choices=("val", "train"))
    add("--max-objects", type=int, default=8, help="objects of one picture")
    add("--min-area", type=int, default=50, help="pixels")
    add("--seed", type=int, default=0)
    add("--by", default="group", choices=tuple(GROUPINGS))
    add("--out", type=Path, help="JSON report")
    add("--markdown", type=Path, help="tables for reading")
    return parser.parse_args()


def model_report(options: argparse.Namespace, progress: Progress) -> Report:
    """The model's scores."""
    segmenter = open_segmenter(options.model, device=options.device, precision=options.precision)
    items = read_split(options.split, options.root, options.subset)
    return evaluate_segmenter(
        segmenter,
        items,
        max_objects_per_image=options.max_objects,
        min_area=options.min_area,
        seed=options.seed,
        progress=bar(progress, options.model, len(items)),
    )


def baseline_report(options: argparse.Namespace, progress: Progress) -> Report:
    """The classical tools' scores, with settings chosen on the training pictures."""
    training = read_split(options.split, options.root, "train")
    task = progress.add_task("choosing settings", total=len({item.group for item in training}))
    settings = {}
    for group, chosen in tune_baselines(training, min_area=options.min_area, seed=options.seed):
        settings[group] = chosen
        progress.advance(task)
    items = read_split(options.split, options.root, options.subset)
    return evaluate_baselines(
        items,
        settings=settings,
        max_objects_per_image=options.max_objects,
        min_area=options.min_area,
        seed=options.seed,
        progress=bar(progress, "classical tools", len(items)),
    )


def known_report(path: Path, protocol: dict[str, object]) -> Report:
    """Scores from an earlier run, which must have asked for the same objects."""
    try:
        report = Report.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error}): use --baselines run.") from error
    other = [name for name, value in protocol.items() if report.settings.get(name) != value]
    if other:
        raise DatasetError(
            f"{path} was made with other {', '.join(other)}: use --baselines run or none."
        )
    return report


def bar(progress: Progress, name: str, total: int) -> Callable[[int, int], None]:
    """A progress callback that moves a bar."""
    task = progress.add_task(name, total=total)
    return lambda done, _: progress.update(task, completed=done)


def document(report: Report, table: str, margins: str) -> str:
    """What a reader needs: the tables, how they were made, and the settings."""
    command = shlex.join(["python", "benchmarks/accuracy.py", *shown_arguments()])
    settings = report.settings
    lines = [
        "# Accuracy\n",
        f"Made by `{command}`.\n",
        f"Mean IoU over objects of at least {settings['min_area']} px, at most "
        f"{settings['max_objects_per_image']} of a picture, on the {settings['subset']} side of "
        "the committed split. A click is the pixel farthest from the object's border; the box is "
        "the object's own. The answer with the highest predicted IoU is scored; the oracle is "
        "the best of the answers to one prompt. Intervals come from drawing whole pictures anew "
        "(cluster bootstrap), because the objects of one picture resemble each other. Pixels of "
        "unknown truth are left out.\n",
        table,
    ]
    if margins:
        lines += [f"{settings['model']} minus each other answer, on the same objects:\n", margins]
    if "baselines" in settings:
        lines += [
            "The classical tools' settings, chosen on training pictures of each group: "
            "flood-fill tolerance in grey levels; how far around the box GrabCut learns the "
            "background, in sides of the box; the random walker's beta and the radius of its "
            "seed. "
            f"GrabCut sees at most {GRAB_CUT_SIDE} px a side, the random walker {WALKER_SIDE}.\n",
            "| group | tolerance | margin | beta | radius |\n| --- | ---: | ---: | ---: | ---: |",
        ]
        lines += [
            f"| {group} | " + " | ".join(str(value) for value in chosen.values()) + " |"
            for group, chosen in settings["baselines"].items()
        ]
    return "\n".join(lines).rstrip("\n") + "\n"


def shown_arguments() -> list[str]:
    """The command line without the place of the data."""
    words = sys.argv[1:]
    return [
        "TRAIN_POOL" if i and words[i - 1] == "--root" else word for i, word in enumerate(words)
    ]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SamPluginsError as error:
        sys.exit(f"{error}")
