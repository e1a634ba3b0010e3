"""Configs, regions and answers that the tests of the controls share."""

import itertools

import numpy as np
from scipy import ndimage

from labelstudio_backend.controls import read_config
from labelstudio_backend.values import Ask, Found
from sam_plugins import Interaction
from sam_plugins.masks import mask_to_box

_NUMBERS = itertools.count()

SIZE = (600, 800)
"""(H, W) of the picture in the golden files: the picture of the research file."""

PLAIN = """<View>
  <Image name="image" value="$image" zoom="true"/>
  <BrushLabels name="brush" toName="image"><Label value="Blob"/><Label value="Other"/></BrushLabels>
  <KeyPointLabels name="kp" toName="image" smart="true">
    <Label value="Blob" smart="true"/><Label value="Other" smart="true"/>
  </KeyPointLabels>
  <RectangleLabels name="box" toName="image" smart="true">
    <Label value="Blob"/><Label value="Other"/>
  </RectangleLabels>
  <PolygonLabels name="poly" toName="image">
    <Label value="Blob"/><Label value="Other"/>
  </PolygonLabels>
</View>"""


def config_with(*tags, image='<Image name="image" value="$image"/>'):
    return read_config(f"<View>{image}{''.join(tags)}</View>")


def labelled(tag, name="out", labels=("Blob", "Other"), **attributes):
    """One tag with its labels."""
    said = "".join(f' {key}="{value}"' for key, value in attributes.items())
    inner = "".join(f'<Label value="{label}"/>' for label in labels)
    return f'<{tag} name="{name}" toName="image"{said}>{inner}</{tag}>'


def keypoint(x, y, label="Blob", **more):
    return _region("keypointlabels", "kp", {"x": x, "y": y, "width": 0.3}, label, more)


def rectangle(x, y, width, height, label="Blob", rotation=0, **more):
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": rotation}
    return _region("rectanglelabels", "box", value, label, more)


def brush(rle, label="Blob", **more):
    return _region("brushlabels", "brush", {"format": "rle", "rle": rle}, label, more)


def _region(kind, tag, value, label, more):
    value = value if label is None else value | {kind: [label]}
    region = {
        "original_width": SIZE[1],
        "original_height": SIZE[0],
        "image_rotation": 0,
        "value": value,
        "id": f"{kind}-{next(_NUMBERS)}",
        "from_name": tag,
        "to_name": "image",
        "type": kind,
        "origin": "manual",
    }
    return region | more


def found(mask, score=0.9):
    x0, y0, x1, y1 = mask_to_box(mask)
    return Found(mask[y0:y1, x0:x1], (x0, y0, x1, y1), mask.shape, score)


def ask(label="Blob", to_name="image", item=None):
    return Ask(label, Interaction(points=((1.0, 1.0, 1),)), to_name, item)


def whole(crop, box, size):
    mask = np.zeros(size, bool)
    mask[box[1] : box[3], box[0] : box[2]] = crop
    return mask


def blobs(seed, size=SIZE, fine=25.0):
    """Several parts, some with holes."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=size), fine)
    return noise > 1.2 * noise.std()
