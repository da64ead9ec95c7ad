"""The QGIS plugin Protolabel; nothing is imported before QGIS asks for the plugin."""


def classFactory(iface):  # noqa: ANN001, ANN201 - the name and the types are QGIS's
    """Make the plugin; QGIS calls this when the plugin is switched on."""
    from .plugin.plugin import ProtolabelPlugin

    return ProtolabelPlugin(iface)
