"""`sam-plugins train`: fine-tune a model on a folder of pictures with masks."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sam_plugins.cli.common import common_of, notes, print_json, progress_bar, results

if TYPE_CHECKING:
    from sam_plugins.training.finetune import TrainingResult
    from sam_plugins.training.loop import Progress

__all__ = ["train"]


def train(
    ctx: typer.Context,
    data: Annotated[
        Path, typer.Argument(help="A folder with images/ and masks/.", metavar="FOLDER")
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Folder of the run; an existing one is continued.")
    ] = Path("runs/train"),
    steps: Annotated[int, typer.Option("--steps", min=1, help="Length of the whole run.")] = 500,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", min=0, help="By default, the model's own.")
    ] = None,
    freeze_encoder: Annotated[
        bool | None,
        typer.Option(
            "--freeze-encoder/--train-encoder",
            help="Keep embeddings valid, or learn everything. By default, what suits the model.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Decides the order of everything.")] = 0,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Processes that prepare pictures.")
    ] = 1,
) -> None:
    """Fine-tune a model on your own pictures.

    A mask is a picture of whole numbers: 0 is background, every other value is one object. Some
    pictures are held out; the IoU on them is told before and after. Ctrl-C stops, the same command
    goes on.
    """
    from sam_plugins.session import DEFAULT_MODEL
    from sam_plugins.training import train as run

    common = common_of(ctx)
    with progress_bar() as bar:
        task = bar.add_task("Training", total=steps)

        def advance(step: "Progress") -> None:
            bar.update(
                task,
                completed=step.step,
                description=f"Training, loss {step.loss:.2f}",
            )

        result = run(
            data=data,
            model=common.model or DEFAULT_MODEL,
            out=out,
            steps=steps,
            learning_rate=learning_rate,
            freeze_encoder=freeze_encoder,
            device=common.device,
            seed=seed,
            workers=workers,
            progress=advance,
        )
    if common.as_json:
        print_json(_document(result))
        return
    results().print(f"Weights: {result.weights}", markup=False, soft_wrap=True)
    for when, report in (("before", result.before), ("after", result.after)):
        if report is not None:
            results().print(f"On the pictures held out, {when}:")
            results().print(report.to_table())
    if result.before is None:
        notes().print("Too few pictures to hold any out: nothing was measured.")
    results().print(f"Use them with --model {result.weights}", markup=False, soft_wrap=True)


def _document(result: "TrainingResult") -> dict[str, Any]:
    reports = {"before": result.before, "after": result.after}
    tables = {
        when: None if report is None else json.loads(report.to_json())["rows"]
        for when, report in reports.items()
    }
    return {"weights": str(result.weights), **tables}
