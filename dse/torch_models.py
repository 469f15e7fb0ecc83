"""Studies of torch networks: the module that a study file names, with the data of a workload."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from dse.errors import StudyError
from emulation.function_operations import Softmax
from emulation.network import Multiply, Repeat, Slice
from emulation.tasks import Answers
from emulation.workloads import Samples, Splits

if TYPE_CHECKING:
    from dse.config_network import NetworkSection
    from emulation.network import Network
    from emulation.workloads import LoadedWorkload

UNPRICED: Final = (Multiply, Slice, Repeat)
"""Operations that are executed and not yet priced."""


def torch_model(section: NetworkSection, workload: LoadedWorkload) -> tuple[Network, Splits]:
    """The network of a study file, or of its workload, and the data as the network reads them.

    Raises:
        StudyError: if the module, its weights or the front cannot be had, an operation cannot be read, or the results
            do not fit the workload.
    """
    from emulation.read_torch import read_with_front
    from emulation.torch_files import build_module, load_weights

    splits = workload.splits
    try:
        if section.torch:
            module, name = build_module(section.torch), section.torch.rpartition(":")[2]
            if section.weights:
                load_weights(module, Path(section.weights))
        else:
            module, name = workload.network, workload.name
        network, front = read_with_front(module, splits.calibration.inputs, name=name, front=section.front)
    except ValueError as error:
        raise StudyError(str(error)) from error
    given, classes = network.by_name[network.output].shape, workload.workload.classes
    is_answer = workload.workload.task.answers is not Answers.CLASSES or given[-1] == classes
    if not is_answer:
        raise StudyError(
            f"{name} returns results of shape {given}, and workload {workload.name!r} has {classes} classes: "
            f"{classes} values along the last axis are needed; give the network's own data by --workload "
            "package.module:name"
        )
    check_priced(network)
    if front is None:
        return network, splits
    parts = (splits.calibration, splits.validation, splits.test)
    before = [Samples(inputs=front.apply(part.inputs), labels=part.labels) for part in parts]
    return network, Splits(calibration=before[0], validation=before[1], test=before[2])


def named(weights: Path | None, reference: str) -> dict[str, str]:
    """The settings of [network] that name a torch network.

    Raises:
        StudyError: for weights without a network.
    """
    if weights is not None and not reference:
        raise StudyError(f"--weights {weights} needs --torch package.module:factory, which builds the network")
    if not reference:
        return {}
    return {"torch": reference, "weights": "" if weights is None else str(weights.resolve())}


def check_priced(network: Network) -> None:
    """Refuse operations that hardware mode defines and no cost model prices.

    Raises:
        StudyError: with the layer's name.
    """
    for layer in network.layers:
        operation = layer.operation
        is_masked = isinstance(operation, Softmax) and operation.mask is not None
        if is_masked or isinstance(operation, UNPRICED):
            word = "softmax with a mask" if is_masked else layer.kind
            raise StudyError(
                f"layer {layer.name!r} is a {word}: networks with it can be read and executed bit for bit, but it has "
                "no cost model, so no study can price it. Explore a part of the network without it"
            )
