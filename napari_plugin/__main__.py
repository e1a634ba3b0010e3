"""``python -m napari_plugin``: napari with sample pictures and the plugin docked."""

import sys


def main() -> int:
    """Open the window, and return when it is closed."""
    try:
        import napari
    except ImportError as error:
        sys.stderr.write(
            f"napari cannot be opened here ({error}): pip install 'sam-plugins[napari]' and a Qt, "
            "for example 'pyside6-essentials!=6.12.0'.\n"
        )
        return 1
    viewer = napari.Viewer(title="sam-plugins")
    for key in ("z_stack", "nuclei"):
        viewer.open_sample("sam-plugins", key)
    viewer.layers[0].visible = False
    viewer.reset_view()
    _, widget = viewer.window.add_plugin_dock_widget("sam-plugins", "Segment anything")
    widget.images.check_only(viewer.layers[1])
    widget.images.begin()
    napari.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
