"""Switching the session to another model, as a step that can be undone."""

from __future__ import annotations

from ..compat import QUndoCommand
from ..session import LabelingSession


class ModelSwitch(QUndoCommand):
    """One step of the session's undo list, which the class table keeps.

    Attributes:
        former: The model before.
    """

    def __init__(self, session: LabelingSession, model: str | None, text: str) -> None:
        super().__init__(text)
        self._session, self._model, self.former = session, model, session.options.model

    def undo(self) -> None:
        """Go back to the former model."""
        self._session.set_options(model=self.former)

    def redo(self) -> None:
        """Use the new one."""
        self._session.set_options(model=self._model)


def switch_model(session: LabelingSession, model: str | None, text: str) -> ModelSwitch:
    """Use a model in a session from now on.

    Args:
        session: The session.
        model: A name or a path, None for the default one.
        text: Names the step in the undo list.
    """
    step = ModelSwitch(session, model, text)
    session.classes.undo_stack.push(step)
    return step


def undo_switch(session: LabelingSession, step: ModelSwitch, text: str) -> None:
    """Go back to the model before a switch, whatever was done to the classes since.

    Args:
        session: The session.
        step: The switch.
        text: Names the step back in the undo list, where others came in between.
    """
    stack = session.classes.undo_stack
    if stack.index() and stack.command(stack.index() - 1) is step:
        stack.undo()
    else:
        switch_model(session, step.former, text)
