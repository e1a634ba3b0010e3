"""The one-liner people know: ``python examples/one_liner.py`` writes ``one_liner.png``."""

from sam_plugins import SAM
from sam_plugins.samples import load_sample

cup = load_sample("coffee")
results = SAM().predict(cup.image, bboxes=cup.box)
print(f"{len(results)} object, predicted IoU {results.scores[0]:.2f}")
results.save("one_liner.png")
