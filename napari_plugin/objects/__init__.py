"""The objects of a Labels layer: what was accepted, its history, and the journal that outlives us.

No Qt and no model: it works on anything that is indexed like a NumPy array, and `LabelsWatch` alone
knows a napari layer.
"""
