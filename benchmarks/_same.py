"""What the scripts train, of our families. See trainer.py."""

from __future__ import annotations

import dataclasses
import re

from generator.engine.production.training import FAMILIES, Family

LAYERS = {  # klein's script leaves out the text's own side
    "klein": re.compile(
        r".*\.(to_q|to_k|to_v|to_out\.0)"
        r"|single_transformer_blocks\.\d+\.attn\.(to_qkv_mlp_proj|to_out)"
    )
}


def family(name: str) -> Family:
    """Learns the layers that the script lets learn."""
    row = FAMILIES[name]
    return dataclasses.replace(row, targets=LAYERS.get(name, row.targets))
