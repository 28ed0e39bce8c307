"""Export models as ONNX files, which onnxruntime runs in any language."""

from audiate.export.graphs import Graph, graph_of
from audiate.export.onnx_file import export, export_scores

__all__ = ["Graph", "export", "export_scores", "graph_of"]
