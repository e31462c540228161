"""Files that are read whole or not at all, and replaced whole: images, YAML, JSON.

Images want OpenCV, which a line file can do without: `image_file` is no part of the face.
"""

from edge.files.json_text import parsed
from edge.files.whole_file import check_writable, named, replacing, write_whole
from edge.files.yaml_edit import with_value
from edge.files.yaml_file import read_yaml

__all__ = [
    "check_writable",
    "named",
    "parsed",
    "read_yaml",
    "replacing",
    "with_value",
    "write_whole",
]
