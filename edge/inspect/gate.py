"""What a network shows in a picture that it surely calls sound is put aside, where a line says so.

It is the network's word against its own map, so it is off unless the line file turns it on, and the
verdict tells what was put aside and why. It looks only at what was inspected: what is UNKNOWN never
comes here, and an answer that is no number does not pass.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge.bundle import Manifest
from edge.engines import Answer
from edge.network import SURELY_SOUND, refuse_no_number, sound_share
from edge.types import Mask


def gate(
    answers: Sequence[Answer], manifest: Manifest, above: float | None
) -> tuple[list[Answer], tuple[str, ...]]:
    """The answers, with nothing found where a picture is sound by a share `above` this.

    And in words what was found there all the same; nothing where nothing was.
    """
    if above is None:
        return list(answers), ()
    passed, areas_mm2, least = [], [], 1.0
    for answer in answers:
        refuse_no_number(answer.logits)
        share = sound_share(answer, manifest)
        if share is None or share <= above:
            passed.append(answer)
            continue
        if (area_mm2 := _found_mm2(answer, manifest)) > 0:
            areas_mm2.append(area_mm2)
            least = min(least, share)
        passed.append(answer._replace(logits=np.full_like(answer.logits, SURELY_SOUND)))
    if not areas_mm2:
        return passed, ()
    where = "" if len(answers) == 1 else f" in {len(areas_mm2)} of {len(answers)} tiles"
    told = (
        f"put aside: {sum(areas_mm2):.0f} mm2 on the map{where}, because the picture is sound by "
        f"{least:.4f}, more than {above:g}"
    )
    return passed, (told,)


def _found_mm2(answer: Answer, manifest: Manifest) -> float:
    """Surface on which the map alone shows a defect."""
    along_mm, across_mm = manifest.input.shown_mm
    found = Mask(answer.logits[0, 0], manifest.threshold, clip=manifest.output.clip).binary
    return float(found.mean()) * along_mm * across_mm
