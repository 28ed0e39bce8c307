"""Models as ONNX files, for whoever has onnxruntime in any language."""

from audiate.export.graphs import Graph, graph_of
from audiate.export.onnx_file import export, export_scores

__all__ = ["Graph", "export", "export_scores", "graph_of"]
