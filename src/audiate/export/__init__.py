"""Export models as ONNX files, which onnxruntime runs in any language."""

from audiate.export.graphs import Graph as Graph
from audiate.export.graphs import graph_of as graph_of
from audiate.export.onnx_file import export as export
from audiate.export.onnx_file import export_scores as export_scores
