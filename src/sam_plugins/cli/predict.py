"""`sam-plugins predict`: one object from clicks or a box."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sam_plugins.cli import common as shared
from sam_plugins.cli.common import common_of, print_json, results

if TYPE_CHECKING:
    from sam_plugins.types import Image, MaskRecord, Masks, Prompt

__all__ = ["predict"]


def predict(
    ctx: typer.Context,
    image: Annotated[Path, typer.Argument(help="A picture.", metavar="IMAGE")],
    point: Annotated[
        list[str] | None,
        typer.Option("--point", help="A click on the object; may be repeated.", metavar="X,Y"),
    ] = None,
    neg: Annotated[
        list[str] | None,
        typer.Option("--neg", help="A click beside the object; may be repeated.", metavar="X,Y"),
    ] = None,
    box: Annotated[
        str | None, typer.Option("--box", help="A box around the object.", metavar="X0,Y0,X1,Y1")
    ] = None,
    multimask: Annotated[
        bool, typer.Option("--multimask", help="Keep all three answers, ranked.")
    ] = False,
    page: Annotated[int, typer.Option("--page", min=0, help="Of a file with several, from 0.")] = 0,
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")] = Path(
        "sam_output"
    ),
) -> None:
    """Segment one object from clicks or a box.

    Pixels count from the upper left corner, x to the right and y down. Writes an overlay, the mask
    as a black and white PNG, and a JSON with score, box and run lengths.
    """
    clicks = [_numbers("--point", text, 2) for text in point or []]
    counter = [_numbers("--neg", text, 2) for text in neg or []]
    frame = None if box is None else _numbers("--box", box, 4)
    if not clicks and frame is None:
        raise typer.BadParameter(
            "say which object is meant: --point X,Y on it, or --box X0,Y0,X1,Y1 around it."
        )

    from sam_plugins.cli.files import output_folder
    from sam_plugins.images import load_image
    from sam_plugins.types import Prompt

    prompt = Prompt(
        point_coords=[*clicks, *counter] or None,
        point_labels=[1] * len(clicks) + [0] * len(counter) or None,
        box=frame,
    )
    pixels = load_image(image, page=page)
    folder = output_folder(out)
    segmenter = shared.open_model(common_of(ctx))
    with shared.notes().status("Segmenting"):
        embedding = segmenter.encode(pixels)
        masks = segmenter.decode(embedding, prompt, multimask_output=True if multimask else None)
    kept = masks.ranked if multimask else masks.ranked[:1]
    document = _write(folder, image, pixels, prompt, masks, kept)
    document = {"model": segmenter.info.name, **document}
    if common_of(ctx).as_json:
        print_json(document)
        return
    for answer in document["answers"]:
        results().print(
            f"predicted IoU {answer['predicted_iou']:.3f}   {answer['area']} pixels   "
            f"box {','.join(map(str, answer['box']))}   {folder / answer['mask']}"
        )
    results().print(f"Overlay: {folder / document['overlay']}")


def _write(
    folder: Path,
    source: Path,
    pixels: "Image",
    prompt: "Prompt",
    masks: "Masks",
    kept: tuple[int, ...],
) -> dict[str, Any]:
    """Write overlay, masks and JSON; the JSON last, so that it names files that are there."""
    import numpy as np

    from sam_plugins.automatic import mask_record
    from sam_plugins.cli.files import write_json, write_picture
    from sam_plugins.formats import rle_to_mask
    from sam_plugins.rendering import crops_of_records, render_overlay

    stem = source.stem
    records = [mask_record(masks, index, (0.0, 0.0)) for index in kept]
    names = [f"{stem}_mask.png"]
    if len(records) > 1:
        names = [f"{stem}_mask_{rank}.png" for rank in range(1, len(records) + 1)]
    for name, record in zip(names, records, strict=True):
        mask = rle_to_mask(record.segmentation)
        write_picture(folder / name, mask.astype(np.uint8) * np.uint8(255))
    overlay = f"{stem}_overlay.png"
    write_picture(folder / overlay, render_overlay(pixels, crops_of_records(records[:1]), [prompt]))
    document = {
        "image": str(source),
        "size": list(pixels.shape[:2]),
        "prompt": {
            name: None if value is None else value.tolist()
            for name, value in (
                ("point_coords", prompt.point_coords),
                ("point_labels", prompt.point_labels),
                ("box", prompt.box),
            )
        },
        "answers": [_answer(n, record) for n, record in zip(names, records, strict=True)],
        "overlay": overlay,
    }
    write_json(folder / f"{stem}.json", document)
    return document


def _answer(name: str, record: "MaskRecord") -> dict[str, Any]:
    return {
        "predicted_iou": record.predicted_iou,
        "stability_score": record.stability_score,
        "box": list(record.box),
        "area": record.area,
        "segmentation": record.segmentation,
        "mask": name,
    }


def _numbers(option: str, text: str, count: int) -> list[float]:
    """Numbers of an option's value, with commas between them."""
    shape = {2: "two numbers X,Y such as 120,80", 4: "four numbers X0,Y0,X1,Y1"}[count]
    try:
        values = [float(part) for part in text.replace(" ", "").split(",")]
    except ValueError:
        values = []
    if len(values) != count:
        raise typer.BadParameter(f"{option} must be {shape}, found {text!r}.")
    return values
