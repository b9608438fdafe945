"""The network that a training loop works on, as a score, at any moment.

What is given may be the network itself, in whatever the loop has put around it; diffusers'
EMAModel, whose network is built once and filled anew each time; a function without arguments that
gives the network to look at; a pipeline; or a score.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ..common.checks import InputError
from ..learned.adapters import load_score
from ..learned.score import module_score
from ..learned.wrappers import unwrapped
from ..process import Schedule
from ..scores import AbstractScore
from .undisturbed import evaluating


class Watched:
    """model, scheduler : as `monitor` takes them
    shape : of the data, (H, W, C) or (d,), for a module with a `process.Schedule`
    options : of `load_score`
    """

    def __init__(
        self, model: Any, scheduler: Any, shape: tuple[int, ...], options: dict[str, Any]
    ) -> None:
        self.model, self.scheduler, self.shape, self.options = model, scheduler, shape, options
        self._average: Any = None
        self._known: tuple[Any, AbstractScore] | None = None

    @contextmanager
    def now(self) -> Iterator[AbstractScore]:
        """The network as it stands, in eval mode meanwhile."""
        given = self.model() if _gives(self.model) else self.model
        if hasattr(given, "shadow_params"):
            given = self._filled(given)
        with evaluating(*_modules(given)):
            yield self._score(given)

    def _filled(self, average: Any) -> Any:
        """The network of a running average."""
        if self._average is None:
            self._average = unwrapped(average)
        else:
            average.copy_to(self._average.parameters())
        return self._average

    def _score(self, given: Any) -> AbstractScore:
        if isinstance(given, AbstractScore):
            return given
        if self._known is not None and self._known[0] is given:
            return self._known[1]
        if not (isinstance(given, torch.nn.Module) or hasattr(given, "components")):
            raise InputError(
                f"the model to look at is a {type(given).__name__}; expected a network, an "
                "EMAModel, a pipeline, a score, or a function without arguments that gives one."
            )
        if isinstance(self.scheduler, Schedule):
            self._check_plain()
            first = (self.shape[-1], *self.shape[:-1])
            score = module_score(given, self.scheduler, shape=first, batch=self.options["batch"])
        else:
            score = load_score(given, self.scheduler, **self.options)
        if given is self.model or given is self._average:  # what a function gives may be let go
            self._known = given, score
        return score

    def _check_plain(self) -> None:
        """Raise for a condition that nobody would hand to a plain module."""
        asked = [k for k in ("label", "prompt", "guidance") if self.options.get(k) is not None]
        if asked:
            raise InputError(
                f"{asked[0]} is {self.options[asked[0]]!r}, and a module with a Schedule is called "
                "with state and step alone; expected a score: module_score of a function of your "
                "own that knows its condition."
            )


def _gives(model: Any) -> bool:
    """Whether it is a function that gives the network."""
    itself = isinstance(model, torch.nn.Module | AbstractScore)
    return callable(model) and not itself and not hasattr(model, "components")


def _modules(given: Any) -> list[torch.nn.Module]:
    """The networks in it, whose mode a look may change."""
    held = getattr(given, "components", None)
    parts = held.values() if isinstance(held, dict) else (getattr(given, "module", None), given)
    return [x for x in parts if isinstance(x, torch.nn.Module)]
