"""A trained torch module from the name of what builds it and a file of weights.

Weights are data: safetensors files, and PyTorch files as far as ``torch.load(weights_only=True)`` takes them. What
holds anything but tensors is refused, and nothing of it is executed. The factory is the user's own code, named by the
user.
"""

from __future__ import annotations

import difflib
import importlib
import pickle
from typing import TYPE_CHECKING, Any, Final

import torch

from emulation.network import NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

TORCH_SUFFIXES: Final = (".pt", ".pth", ".bin", ".ckpt")
"""Files that ``torch.save`` writes."""
_NESTED: Final = ("state_dict", "model_state_dict")
"""Keys under which training loops keep the state among other things."""
_LISTED: Final = 5
"""Names that an error lists."""


def build_module(reference: str) -> torch.nn.Module:
    """Build a module.

    Args:
        reference: ``package.module:factory``, a function or class that is called without arguments, or a module that
            exists already. Attributes of attributes are separated by dots.

    Raises:
        NetworkError: if there is none, or it makes something else.
    """
    name, colon, path = reference.partition(":")
    if not colon or not name or not path:
        raise NetworkError(f"{reference!r} names no network: it must be package.module:factory")
    try:
        found: Any = importlib.import_module(name)
    except ImportError as error:
        raise NetworkError(
            f"module {name!r} of {reference!r} cannot be imported ({error}): install it, or set PYTHONPATH to the "
            "folder that holds it"
        ) from error
    for part in path.split("."):
        if not hasattr(found, part):
            close = difflib.get_close_matches(part, [one for one in dir(found) if not one.startswith("_")], n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise NetworkError(f"{name!r} has no {path!r}, which {reference!r} names{hint}")
        found = getattr(found, part)
    if isinstance(found, torch.nn.Module):
        return found
    if not callable(found):
        raise NetworkError(
            f"{reference!r} is a {type(found).__name__}: a function or class that makes a torch.nn.Module is needed"
        )
    try:
        module = found()
    except Exception as error:  # whatever the user's own code raises is the user's to see
        raise NetworkError(
            f"{reference} failed: {type(error).__name__}: {error}. It is called without arguments"
        ) from error
    if not isinstance(module, torch.nn.Module):
        raise NetworkError(f"{reference} returned a {type(module).__name__}: a torch.nn.Module is needed")
    return module


def load_weights(module: torch.nn.Module, path: Path) -> None:
    """Fill a module from a file; every name and shape must match, and all values must be finite.

    Raises:
        NetworkError: if the file is missing, damaged or of another kind, or is not of this module; nothing of the
            module is changed then.
    """
    state = _without_wrapper(_read_state(path), module)
    own = module.state_dict(keep_vars=True)
    missing = [name for name in own if name not in state and not _is_optional(name, own, state)]
    unexpected = [name for name in state if name not in own]
    if missing or unexpected:
        raise NetworkError(f"{path} is not of this network: {_names_words(missing, unexpected, own)}")
    for name, tensor in state.items():
        if tensor.shape != own[name].shape:
            raise NetworkError(
                f"{path} has {name!r} of shape {tuple(tensor.shape)}, the network of {tuple(own[name].shape)}: build "
                "the network with the sizes it was trained with"
            )
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            count = int((~torch.isfinite(tensor)).sum())
            raise NetworkError(
                f"{path}: {count} of {tensor.numel()} values of {name!r} are not finite; check the training run"
            )
    module.load_state_dict(state, strict=False)


def _read_state(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise NetworkError(f"weights {path} do not exist")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            state: dict[str, torch.Tensor] = load_file(path)
        except (OSError, SafetensorError) as error:
            raise NetworkError(f"weights {path} cannot be read ({error}): is the file whole?") from error
        return state
    if path.suffix not in TORCH_SUFFIXES:
        raise NetworkError(
            f"weights {path} are of no known kind: .safetensors is read, and {', '.join(TORCH_SUFFIXES)} with tensors "
            "only"
        )
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise NetworkError(
            f"weights {path} are refused ({reason}): the file is damaged or holds more than tensors, and loading that "
            "could execute code. Save the network's state_dict() with safetensors.torch.save_file"
        ) from error
    for key in _NESTED:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not all(isinstance(one, torch.Tensor) for one in found.values()):
        kinds = (
            sorted({type(one).__name__ for one in found.values()}) if isinstance(found, dict) else type(found).__name__
        )
        raise NetworkError(f"weights {path} hold {kinds}, not the tensors of a state_dict(): save that")
    return {str(name): tensor for name, tensor in found.items()}


def _without_wrapper(state: dict[str, torch.Tensor], module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Without the prefix that DataParallel and torch.compile put before every name."""
    own = module.state_dict()
    for prefix in ("module.", "_orig_mod."):
        if (
            state
            and all(name.startswith(prefix) for name in state)
            and not any(name.startswith(prefix) for name in own)
        ):
            return {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def _is_optional(name: str, own: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]) -> bool:
    """Whether a file may leave a tensor out: it counts batches, or is another one of the file under a second name."""
    if name.endswith("num_batches_tracked"):
        return True
    return any(own[other] is own[name] for other in state if other in own)


def _names_words(missing: list[str], unexpected: list[str], own: Iterable[str]) -> str:
    words = []
    if missing:
        words.append(f"it lacks {_some(missing)}")
    if unexpected:
        nearest = {name: difflib.get_close_matches(name, missing or list(own), n=1) for name in unexpected[:_LISTED]}
        hints = [f"{name!r} (nearest: {close[0]!r})" if close else repr(name) for name, close in nearest.items()]
        more = f" and {len(unexpected) - _LISTED} more" if len(unexpected) > _LISTED else ""
        words.append(f"it has {', '.join(hints)}{more}, which the network has not")
    return "; ".join(words)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(map(repr, names[:_LISTED])) + more
