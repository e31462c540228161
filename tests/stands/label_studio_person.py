"""Somebody at Label Studio, by its own SDK and in its own environment: `URL TOKEN FOLDER EXPORT`.

A project is made of what `trackside events export` wrote into FOLDER. What is predicted of a
picture is found right and submitted, but for the last, in which a mask is painted anew. What Label
Studio exports of it goes to EXPORT. The pictures are looked at as the browser looks at them, and
must be the exported ones.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import requests
from label_studio_sdk import LabelStudio
from label_studio_sdk.converter.brush import mask2rle

PAINTED = np.s_[3:40, 17:50:2]  # rows and columns


def main(url: str, token: str, folder: Path, export: Path) -> None:
    studio = LabelStudio(base_url=url, api_key=token)
    project = studio.projects.create(
        title="events", label_config=(folder / "config.xml").read_text(encoding="utf-8")
    )
    storage = studio.import_storage.local.create(
        project=project.id, path=str(folder / "images"), use_blob_urls=True
    )
    assert storage.id is not None
    tasks = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    studio.projects.import_tasks(id=project.id, request=tasks)
    listed = list(studio.tasks.list(project=project.id, fields="all"))
    last = max(task.data["event"] for task in listed)
    for task in listed:
        name = task.data["image"].rpartition("/")[2]
        seen = requests.get(
            url + task.data["image"], headers={"Authorization": f"Token {token}"}, timeout=60
        )
        assert seen.content == (folder / "images" / name).read_bytes(), name
        [prediction] = task.predictions
        result = prediction.result
        if task.data["event"] == last:
            [piece] = result
            shape = piece["original_height"], piece["original_width"]
            painted = np.zeros(shape, np.uint8)
            painted[PAINTED] = 255
            result = [{**piece, "value": {**piece["value"], "rle": mask2rle(painted)}}]
        studio.annotations.create(id=task.id, result=result, was_cancelled=False)
    exported = requests.get(
        f"{url}/api/projects/{project.id}/export",
        params={"exportType": "JSON"},
        headers={"Authorization": f"Token {token}"},
        timeout=300,
    )
    exported.raise_for_status()
    export.write_bytes(exported.content)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
