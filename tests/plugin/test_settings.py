"""Settings and the proxy, as QGIS keeps them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from qgis.core import QgsNetworkAccessManager, QgsSettings
from qgis.PyQt.QtNetwork import QNetworkProxy


@pytest.fixture
def settings(plugin_module, qgis_app):
    QgsSettings().remove("protolabel")
    yield plugin_module("plugin.settings").Settings
    QgsSettings().remove("protolabel")


@pytest.fixture
def set_proxy(qgis_app):
    manager = QgsNetworkAccessManager.instance()
    before = manager.fallbackProxy()
    yield lambda *values: manager.setFallbackProxyAndExcludes(QNetworkProxy(*values), [], [])
    manager.setFallbackProxyAndExcludes(before, [], [])


def test_defaults_where_nothing_is_stored(settings):
    assert settings.load() == settings()


def test_what_is_saved_comes_back(settings):
    changed = settings("/my env/bin/python", "/data ü", "/wheels", "cuda", False, "cuda:1", "a model")
    changed.save()
    assert settings.load() == changed
    assert QgsSettings().value("protolabel/use_proxy", type=bool) is False


def test_defaults_are_not_stored(settings):
    replace(settings(), device="cpu").save()
    assert QgsSettings().contains("protolabel/device")
    replace(settings.load(), device="auto").save()
    assert not QgsSettings().contains("protolabel/device")
    assert not QgsSettings().contains("protolabel/build")


def test_rubbish_is_read_as_the_default(settings):
    QgsSettings().setValue("protolabel/use_proxy", [1, 2, 3])
    QgsSettings().setValue("protolabel/unknown", "x")
    assert settings.load() == settings()


@pytest.mark.parametrize(
    ("values", "address"),
    [
        ((QNetworkProxy.ProxyType.NoProxy,), None),
        ((QNetworkProxy.ProxyType.HttpProxy, "", 8080), None),
        ((QNetworkProxy.ProxyType.HttpProxy, "proxy.example", 8080), "http://proxy.example:8080"),
        ((QNetworkProxy.ProxyType.HttpProxy, "proxy.example"), "http://proxy.example"),
        (
            (QNetworkProxy.ProxyType.HttpProxy, "proxy.example", 8080, "jo@firm", "a:b/c"),
            "http://jo%40firm:a%3Ab%2Fc@proxy.example:8080",  # pragma: allowlist secret
        ),
        ((QNetworkProxy.ProxyType.Socks5Proxy, "proxy.example", 1080), "socks5h://proxy.example:1080"),
    ],
)
def test_proxy_of_qgis(plugin_module, set_proxy, values, address):
    set_proxy(*values)
    assert plugin_module("plugin.proxy").qgis_proxy() == address
