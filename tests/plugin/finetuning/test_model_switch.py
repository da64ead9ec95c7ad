"""Switching the session's model, and back."""

from __future__ import annotations

import pytest
from qgis.core import QgsProject


@pytest.fixture
def module(plugin_module):
    return plugin_module("plugin.finetuning.model_switch")


@pytest.fixture
def session(plugin_module, qgis_new_project):
    session = plugin_module("plugin.session").LabelingSession(QgsProject.instance())
    session.set_options(model="/m/former.safetensors")
    yield session
    session.close()


def test_the_undo_of_the_classes_takes_it_back(module, session):
    module.switch_model(session, "/m/tuned.safetensors", "Use model tuned")
    assert session.options.model == "/m/tuned.safetensors"
    assert session.classes.undo_stack.undoText() == "Use model tuned"
    session.classes.undo_stack.undo()
    assert session.options.model == "/m/former.safetensors"
    session.classes.undo_stack.redo()
    assert session.options.model == "/m/tuned.safetensors"


def test_undone_later_it_leaves_the_classes_alone(module, session):
    step = module.switch_model(session, "/m/tuned.safetensors", "Use model tuned")
    session.classes.add("tree")
    module.undo_switch(session, step, "Use former")
    assert session.options.model == "/m/former.safetensors"
    assert [entry.name for entry in session.classes.entries()] == ["tree"]
    session.classes.undo_stack.undo()
    assert session.options.model == "/m/tuned.safetensors"


def test_undone_at_once_it_is_one_step_back(module, session):
    step = module.switch_model(session, None, "Use default")
    module.undo_switch(session, step, "Use former")
    assert session.options.model == "/m/former.safetensors"
    assert session.classes.undo_stack.redoText() == "Use default"
