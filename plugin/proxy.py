"""QGIS's proxy in the form that other programs take."""

from __future__ import annotations

from urllib.parse import quote

from qgis.core import QgsNetworkAccessManager
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtNetwork import QNetworkProxy

_SCHEMES = {
    QNetworkProxy.ProxyType.HttpProxy: "http",
    QNetworkProxy.ProxyType.HttpCachingProxy: "http",
    QNetworkProxy.ProxyType.Socks5Proxy: "socks5h",
}


def qgis_proxy() -> str | None:
    """The address of the proxy in QGIS's network settings, with user and password; None when none is set there.

    A proxy of the system needs no setting: pip finds it by itself. Call it in the main thread.
    """
    if QCoreApplication.instance() is None:
        return None  # asking would crash
    proxy = QgsNetworkAccessManager.instance().fallbackProxy()
    scheme = _SCHEMES.get(proxy.type())
    if scheme is None or not proxy.hostName():
        return None
    user, password = quote(proxy.user(), safe=""), quote(proxy.password(), safe="")
    login = f"{user}:{password}@" if password else f"{user}@" if user else ""
    port = f":{proxy.port()}" if proxy.port() else ""
    return f"{scheme}://{login}{proxy.hostName()}{port}"
