# mypy: ignore-errors
"""Makes the two ONNX files beside it. By hand, with the package onnx: python make.py

They have YuNet's and ArcFace's inputs and outputs, and know faces of our own making: squares of 32
px on a grid of 32 that are green, told apart by the pattern of their red and blue.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

POINTS = [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655],
          [70.7299, 92.2041]]  # fmt: skip
SURE, STEEP = 0.4, 40.0


def constant(name: str, values: object) -> object:
    return numpy_helper.from_array(np.array(values), name)


def detector() -> object:
    nodes, outputs, constants = [], [], [constant("lines", np.array([1, -1, 1], np.int64))]
    kinds = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
    for stride in (8, 16, 32):
        nodes.append(
            helper.make_node(
                "AveragePool",
                ["input"],
                [f"cells{stride}"],
                kernel_shape=[stride] * 2,
                strides=[stride] * 2,
            )
        )
        for kind, width in kinds.items():
            name = f"{kind}_{stride}"
            weights, bias = np.zeros((width, 3, 1, 1), np.float32), np.zeros(width, np.float32)
            if kind in ("cls", "obj"):
                weights[0, :, 0, 0] = np.array([-0.5, 1, -0.5]) * STEEP / 255
                bias[0] = -STEEP * (SURE if stride == 32 else 9)
            if kind == "bbox":
                bias[:2] = 0.5
            if kind == "kps":
                bias[:] = np.array(POINTS).reshape(-1) / 112
            shape = constant(f"{name}_shape", np.array([1, -1, width], np.int64))
            constants += [constant(f"{name}_w", weights), constant(f"{name}_b", bias), shape]
            made = [f"{name}_w", f"{name}_b"]
            nodes.append(helper.make_node("Conv", [f"cells{stride}", *made], [f"{name}_raw"]))
            last = f"{name}_raw"
            if kind in ("cls", "obj"):
                nodes.append(helper.make_node("Sigmoid", [last], [f"{name}_sure"]))
                last = f"{name}_sure"
            nodes.append(helper.make_node("Transpose", [last], [f"{name}_t"], perm=[0, 2, 3, 1]))
            nodes.append(helper.make_node("Reshape", [f"{name}_t", f"{name}_shape"], [name]))
    outputs = [
        helper.make_tensor_value_info(f"{kind}_{stride}", TensorProto.FLOAT, [1, None, width])
        for kind, width in kinds.items()
        for stride in (8, 16, 32)
    ]
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 640, 640])
    return model(helper.make_graph(nodes, "detector", [given], outputs, constants[1:]))


def embedder() -> object:
    """(1, 98): red and blue of 7 x 7 places, 0 in the middle of what patterns have."""
    weights = np.zeros((2, 3, 1, 1), np.float32)
    weights[0, 0], weights[1, 2] = 1, 1
    constants = [constant("w", weights), constant("b", np.full(2, 0.5, np.float32))]
    nodes = [
        helper.make_node("Conv", ["input.1", "w", "b"], ["colours"]),
        helper.make_node("AveragePool", ["colours"], ["places"], kernel_shape=[16, 16],
                         strides=[16, 16]),
        helper.make_node("Flatten", ["places"], ["vector"]),
    ]  # fmt: skip
    given = helper.make_tensor_value_info("input.1", TensorProto.FLOAT, [1, 3, 112, 112])
    out = helper.make_tensor_value_info("vector", TensorProto.FLOAT, [1, 98])
    return model(helper.make_graph(nodes, "embedder", [given], [out], constants))


def model(graph: object) -> object:
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)])
    made.ir_version = 7
    checker.check_model(made)
    return made


if __name__ == "__main__":
    here = Path(__file__).parent
    save(detector(), here / "detector.onnx")
    save(embedder(), here / "embedder.onnx")
