"""Packages that only some exports need: looked for when they are asked for."""

from importlib.util import find_spec

from tdro.errors import UserError


def need(extra: str, *modules: str) -> None:
    """Raises UserError: when a module is missing, with the extra of this project that brings it."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise UserError(f"this needs the module {missing[0]!r}, which is not installed: pip install 'tdro[{extra}]'.")
