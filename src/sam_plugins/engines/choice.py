"""Which engine computes the image encoder, and why."""

from dataclasses import dataclass
from importlib import import_module
from typing import Literal, TypeAlias, cast, get_args

from sam_plugins.errors import DeviceError, MissingExtraError, ModelError

__all__ = ["EngineChoice", "EngineName", "choose_engine"]

EngineName: TypeAlias = Literal["openvino", "torch", "plain"]

_INSTALL = "pip install 'sam-plugins[openvino]'"


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """An engine and, in a sentence, why it is the one."""

    name: EngineName
    reason: str


def choose_engine(engine: str, device: str) -> EngineChoice:
    """The engine called `engine`, or for "auto" the fastest that is here.

    Parameters
    ----------
    engine
        "openvino"; "torch", the fastest that torch alone can do; "plain", the forward pass that
        judges the others; or "auto".
    device
        As `choose_device` gave it.

    Raises
    ------
    ModelError
        If there is no such engine.
    DeviceError
        If OpenVINO is asked for on another device than the CPU.
    MissingExtraError
        If OpenVINO is asked for and not installed.
    """
    names = ("auto", *get_args(EngineName))
    if engine not in names:
        raise ModelError(f"Expected an engine among {', '.join(names)}, found {engine!r}.")
    if engine == "openvino" and device != "cpu":
        raise DeviceError(
            f"Expected the device cpu for the engine openvino, found {device!r}: leave the engine "
            "to auto, or name the device cpu."
        )
    if engine in ("torch", "plain"):
        return EngineChoice(cast("EngineName", engine), "asked for.")
    if device != "cpu":
        return EngineChoice("torch", f"the model runs on {device}, where torch computes.")
    try:
        version = str(import_module("openvino").__version__).partition("-")[0]
    except (ImportError, OSError, AttributeError) as error:
        if engine == "openvino":
            raise MissingExtraError(
                f"Expected OpenVINO for the engine openvino, found that it cannot be imported "
                f"({error}): {_INSTALL}, or leave the engine to auto."
            ) from error
        if isinstance(error, ModuleNotFoundError):
            return EngineChoice("torch", f"OpenVINO, which is faster, is not here: {_INSTALL}.")
        return EngineChoice("torch", f"OpenVINO is here and cannot be imported ({error}).")
    if engine == "openvino":
        return EngineChoice("openvino", "asked for.")
    return EngineChoice("openvino", f"OpenVINO {version} is here, the fastest on a CPU.")
