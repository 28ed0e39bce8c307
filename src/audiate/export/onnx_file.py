"""Write models as ONNX files, with weights in 8 bits where the model has them so."""

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
from torch.fx import config

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
_IR_VERSION = 8  # the newest that onnxruntime 1.17 reads
_LEAST = 1024  # smaller tensors stay float32
_EXACT = 1e-3  # of a step: weights this near to whole numbers of steps were 8-bit integers


def export(
    model: PretrainedModel,
    path: str | Path,
    *,
    sample_rate: int | None = None,
    backwards: bool = False,
) -> Graph:
    """Write a model as an ONNX file, preprocessing included.

    Waveforms are mono, (samples,), in [-1, 1], at the sample rate in the file's metadata.
    Noise is an input. Weights that were 8-bit integers when the model was stored stay so.

    Args:
        model: Any model of ours.
        path: The file. A folder above it that is missing is made.
        sample_rate: As for `graph_of`.
        backwards: As for `graph_of`.

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
    graph = graph_of(own, sample_rate, backwards=backwards)
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
    sizes = [graph.dynamic.get(name, {}) for name in graph.inputs]
    with torch.no_grad(), matrix_products(graph.module), _quietly():
        program = torch.onnx.export(
            graph.module.eval(),
            tuple(graph.inputs.values()),
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=tuple(
                {at: Dim(name, min=1, max=2**26) for at, name in each.items()} for each in sizes
            ),
            opset_version=_OPSET,
            dynamo=True,
            optimize=False,
            verbose=False,
        )
        assert program is not None
        _simplify(program.model)
    proto = program.model_proto
    for given, names in zip(proto.graph.input, sizes, strict=True):
        # The exporter says nothing where it takes a size for fixed.
        dims = given.type.tensor_type.shape.dim
        assert all(dims[at].dim_param for at in names), f"{given.name}: {dims}"
    proto.producer_name = PRODUCER
    proto.ir_version = _IR_VERSION
    del proto.graph.value_info[:]
    for node in _nodes(proto.graph):  # these name the place in PyTorch, at length
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    _store_small(proto)
    for name, value in facts.items():
        proto.metadata_props.add(key=name, value=json.dumps(value))
    onnx.checker.check_model(proto)
    with writing(path, argument=None) as partial:
        partial.write_bytes(proto.SerializeToString())


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield all nodes of a graph, and those of the graphs within them, which are repeated."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            yield from _nodes(attribute.g)


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
        common.LiftSubgraphInitializersToMainGraphPass(),  # where `_store_small` finds them
        common.DeduplicateInitializersPass(),
        common.CommonSubexpressionEliminationPass(),
        common.RemoveUnusedNodesPass(),
    )(model)


def _check_ours(path: Path) -> None:
    """Check that nothing is there, or a file that was written here."""
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
    """Hide the exporter's remarks, and keep no stack of each operation, which takes time."""
    before, without = logging.root.manager.disable, config.do_not_emit_stack_traces
    config.do_not_emit_stack_traces = True
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)
        config.do_not_emit_stack_traces = without


def _store_small(proto: onnx.ModelProto) -> None:
    """Replace weights that are whole numbers of steps by 8-bit integers and their steps."""
    from onnx import TensorProto, helper, numpy_helper

    weights = proto.graph.initializer
    for index, tensor in enumerate(list(weights)):
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _LEAST:
            continue
        found = _in_steps(numpy_helper.to_array(tensor))
        if found is None:
            continue
        (whole, steps, axis), name = found, tensor.name
        names = [f"{name}_int8", f"{name}_step"]
        weights[index].CopyFrom(numpy_helper.from_array(whole, names[0]))
        weights.append(numpy_helper.from_array(steps, names[1]))
        node = helper.make_node("DequantizeLinear", names, [name], axis=axis)
        proto.graph.node.insert(0, node)


def _in_steps(
    weight: NDArray[np.float32],
) -> tuple[NDArray[np.int8], NDArray[np.float32], int] | None:
    """Return whole numbers, steps and axis of weights that were stored in 8 bits, or None."""
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
