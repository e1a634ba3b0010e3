"""From a picture to a mask in five lines: ``python examples/five_lines.py``."""

from sam_plugins import Prompt, open_segmenter
from sam_plugins.samples import load_sample

image = load_sample("coins").image  # or load_image("your_picture.jpg")
segmenter = open_segmenter()
embedding = segmenter.encode(image)
masks = segmenter.decode(embedding, Prompt(point_coords=[(345, 189)], point_labels=[1]))
print(f"{masks.best().sum()} pixels, predicted IoU {masks.iou_predictions.max():.2f}")
