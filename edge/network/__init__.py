"""A verified bundle on an engine that has reproduced its golden pair: pixels in, a mask out."""

from edge.network.golden import GoldenResult, check_golden, golden_result, unlike_golden
from edge.network.loading import (
    SHIPPED,
    check_there,
    engine_by_name,
    load_network,
    network_of,
    resolve_bundle,
)
from edge.network.mask import SURELY_SOUND, read_mask, refuse_no_number
from edge.network.names import (
    Part,
    last_rows,
    read_answer,
    read_shares,
    shares_in,
    sound_share,
    stitch_names,
    summed_shares,
)
from edge.network.network import Network, prepare
from edge.network.preprocess import refuse_what_is_no_image, to_pixels, to_tensor
from edge.network.rehearsal import Rehearsal, rehearse

__all__ = [
    "SHIPPED",
    "SURELY_SOUND",
    "GoldenResult",
    "Network",
    "Part",
    "Rehearsal",
    "check_golden",
    "check_there",
    "engine_by_name",
    "golden_result",
    "last_rows",
    "load_network",
    "network_of",
    "prepare",
    "read_answer",
    "read_mask",
    "read_shares",
    "refuse_no_number",
    "refuse_what_is_no_image",
    "rehearse",
    "resolve_bundle",
    "shares_in",
    "sound_share",
    "stitch_names",
    "summed_shares",
    "to_pixels",
    "to_tensor",
    "unlike_golden",
]
