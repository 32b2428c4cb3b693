"""A fracture network over 200 slices on the CPU: ONNX Runtime against the fast torch model.

Both get the same prepared slices in the same batches and take turns. The peer is what `predict`
uses by default, in bfloat16 where the processor has it. Run with `make bench ARGS=onnx_runtime`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.timing import figure, medians, print_figures
from core.config import Settings
from core.models.bundles import read_bundle
from core.models.fast_model import computes_in_bfloat16, load_fast_model
from core.models.onnx_export import export_onnx
from core.models.onnx_model import OnnxModel

BATCH = 32


def main() -> None:
    """Measure, print, end with one JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bundle", default="fracture_type2")
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    bundle = read_bundle(Settings().checkpoints / arguments.bundle)
    side = bundle.config.preparation.size
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(
        0, 256, (arguments.slices, 3, side, side), dtype=torch.uint8, generator=generator
    )
    presence = torch.rand(arguments.slices, 7, generator=generator)
    metadata = torch.rand(arguments.slices, 3, generator=generator)
    fast, full = load_fast_model(bundle, "cpu"), load_fast_model(bundle, "cpu", bfloat16=False)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        done = export_onnx(bundle, Path(folder) / "made.onnx")
        print(f"exported in {time.perf_counter() - began:.1f} s")
        exported = OnnxModel(bundle, done.file)

    def run(model: OnnxModel | torch.nn.Module) -> Tensor:
        with torch.inference_mode():
            return torch.cat([
                model(images[start : start + BATCH], metadata[start : start + BATCH],
                      presence[start : start + BATCH]).float()
                for start in range(0, len(images), BATCH)
            ])  # fmt: skip

    exact = torch.sigmoid(run(full))
    for name, model in (("torch", fast), ("ONNX Runtime", exported)):
        changed = float((torch.sigmoid(run(model)) - exact).abs().max())
        print(f"{name}: largest difference of a probability from float32 torch {changed:.1e}")
    theirs, ours = medians(lambda: run(fast), lambda: run(exported), repeats=arguments.rounds)
    kind = "bfloat16" if computes_in_bfloat16("cpu") else "float32"
    print(
        f"{bundle.config.name}, {arguments.slices} slices, {torch.get_num_threads()} threads: "
        f"{ours:.2f} s in ONNX Runtime, {theirs:.2f} s in torch ({kind})"
    )
    print_figures(
        figure(f"{bundle.config.name} in ONNX Runtime", f"fast torch model, {kind}", theirs / ours)
    )


if __name__ == "__main__":
    main()
