"""Writes graphs as ONNX files, with weights in 8 bits where the model has them so."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import Dim

from audiate.audio.stft import matrix_products
from audiate.errors import InputError
from audiate.export.graphs import Graph, graph_of, scores_graph
from audiate.models.pretrained import PretrainedModel
from audiate.utils.filesystem import writing

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir

PRODUCER = "audiate"
"""The producer's name in the files that are written here."""

_OPSET = 18
_LEAST = 1024  # smaller tensors stay float32
_EXACT = 1e-3  # of a step: weights this near to whole numbers of steps were 8-bit integers


def export(model: PretrainedModel, path: str | Path, *, sample_rate: int | None = None) -> Graph:
    """Write a model as an ONNX file, hearing included.

    Waveforms are mono, (samples,), at a sample rate that the file's metadata tells, in [-1, 1].
    Noise is an input. Weights that were 8-bit integers when the model was stored stay so.

    Args:
        model: Any model of ours.
        path: The file. A folder above it that is missing is made.
        sample_rate: As for `graph_of`.

    Returns:
        The graph that was written.

    Raises:
        InputError: The model cannot be exported, the exporter is not installed, or the file cannot
            be written.

    """
    # The exporter takes the bytes of weights as if channels always came first in memory.
    own = deepcopy(model).cpu().eval()
    for parameter in own.parameters():
        parameter.data = parameter.data.contiguous()
    graph = graph_of(own, sample_rate)
    _write(graph, Path(path), {"model_type": model.model_type, **graph.facts})
    return graph


def export_scores(
    path: str | Path, *, sample_rate: int = 16_000, num_samples: int = 16_384
) -> Graph:
    """Write the scores of `audiate compare`, but for the digits, as an ONNX file.

    Args and errors are those of `export`.
    """
    graph = scores_graph(sample_rate, num_samples)
    _write(graph, Path(path), graph.facts)
    return graph


def _write(graph: Graph, path: Path, facts: dict[str, Any]) -> None:
    """Trace a graph, store its weights small, and write it."""
    try:
        import onnx
        import onnxscript  # noqa: F401  # the exporter needs it
    except ImportError as error:
        raise InputError(
            f"{error.name} is not installed; get it with: pip install 'audiate[onnx]'"
        ) from error
    _check_ours(path)
    dims = {
        name: {at: Dim(size, min=1, max=2**26) for at, size in sizes.items()}
        for name, sizes in graph.dynamic.items()
    }
    with torch.no_grad(), matrix_products(graph.module), _quietly():
        program = torch.onnx.export(
            graph.module.eval(),
            kwargs=graph.inputs,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes={name: dims.get(name, {}) for name in graph.inputs},
            opset_version=_OPSET,
            dynamo=True,
            optimize=False,
            verbose=False,
        )
        assert program is not None
        _simplify(program.model)
    proto = program.model_proto
    for each in proto.graph.input:  # the exporter says nothing where it takes a size for fixed
        sizes = [size.dim_param for size in each.type.tensor_type.shape.dim]
        assert all(sizes[at] for at in graph.dynamic.get(each.name, {})), f"{each.name}: {sizes}"
    proto.producer_name = PRODUCER
    del proto.graph.value_info[:]
    for node in proto.graph.node:  # each of them tells where in PyTorch it comes from, at length
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    _store_small(proto)
    for name, value in facts.items():
        proto.metadata_props.add(key=name, value=json.dumps(value))
    onnx.checker.check_model(proto)
    with writing(path, argument=None) as partial:
        partial.write_bytes(proto.SerializeToString())


def _simplify(model: ir.Model) -> None:
    """Leave out what need not be computed more than once.

    Only small constants are folded: larger ones are made when a file is loaded, so that it need not
    hold them. The exporter's own rewriting is not for us: it takes constants below 1e-8 for zero.
    """
    from onnx_ir.passes import Sequential, common
    from onnxscript import optimizer

    optimizer.fold_constants_ir(model, input_size_limit=_LEAST, output_size_limit=_LEAST)
    Sequential(
        common.RemoveUnusedNodesPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.DeduplicateInitializersPass(),
        common.CommonSubexpressionEliminationPass(),
        common.RemoveUnusedNodesPass(),
    )(model)


def _check_ours(path: Path) -> None:
    """Make sure that nothing is there, or a file that was written here."""
    import onnx

    if not path.exists():
        return
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file in it, as in {path / 'model.onnx'}")
    try:
        ours = onnx.load(path).producer_name == PRODUCER
    except Exception:  # the parser's own errors, of a library beneath
        ours = False
    if not ours:
        raise InputError(f"{path}: audiate has not written this; name another file")


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the exporter's remarks, which concern nobody but its authors."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _store_small(proto: onnx.ModelProto) -> None:
    """Replace weights that are whole numbers of steps by 8-bit integers and their steps."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = []
    for index, tensor in enumerate(list(proto.graph.initializer)):
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _LEAST:
            continue
        found = _in_steps(numpy_helper.to_array(tensor))
        if found is None:
            continue
        whole, steps, axis = found
        name = tensor.name
        proto.graph.initializer[index].CopyFrom(numpy_helper.from_array(whole, f"{name}_int8"))
        proto.graph.initializer.append(numpy_helper.from_array(steps, f"{name}_step"))
        nodes.append(
            helper.make_node(
                "DequantizeLinear", [f"{name}_int8", f"{name}_step"], [name], axis=axis
            )
        )
    for number, node in enumerate(nodes):
        proto.graph.node.insert(number, node)


def _in_steps(
    weight: NDArray[np.float32],
) -> tuple[NDArray[np.int8], NDArray[np.float32], int] | None:
    """Whole numbers, steps and axis of weights that were stored in 8 bits; None for others."""
    if weight.ndim < 2:
        return None
    for axis in range(weight.ndim):
        rows = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)
        steps = np.maximum(np.abs(rows).max(1), 1e-12) / 127
        exact = rows / steps[:, None]
        if np.abs(exact - exact.round()).max() < _EXACT:
            whole = np.moveaxis(exact.round().reshape(np.moveaxis(weight, axis, 0).shape), 0, axis)
            return np.ascontiguousarray(whole.astype(np.int8)), steps.astype(np.float32), axis
    return None
