"""A folder as COCO has it, with tiny images of different sizes: squares and bars, as in `cells`."""

import json

from tests.detection_task.cells import CLASSES, SIZE, cells
from tests.mask_data.layouts import save

# Gaps, as in COCO's own categories.
IDENTITIES = (3, 7)


def write_coco_folder(folder, count=16, num_test=6):
    """`train2017`, `val2017` and their annotations; one training box has no area, as two of COCO's."""
    images, boxes, rows, labels, crowd = cells(count + num_test)
    for split, own in (("train", range(count)), ("val", range(count, count + num_test))):
        content = {"images": [], "annotations": [], "categories": categories()}
        for row in own:
            # Every third is cut to the height of its boxes.
            height = SIZE[0] if row % 3 else max([20, *(int(box[3]) for box in boxes[rows == row])])
            name = f"{row:012}.png"
            save(folder / f"{split}2017" / name, images[row, :height])
            content["images"].append({"id": 100 + row, "file_name": name, "height": height, "width": SIZE[1]})
            for box, label, is_crowd in zip(*(one[rows == row] for one in (boxes, labels, crowd)), strict=True):
                left, top, right, bottom = map(float, box)
                record = {"bbox": [left, top, right - left, bottom - top], "category_id": IDENTITIES[label]}
                add(content, 100 + row, record | {"iscrowd": int(is_crowd)})
        if split == "train":
            add(content, 101, {"bbox": [3.0, 4.0, 0.0, 5.0], "category_id": IDENTITIES[0], "iscrowd": 0})
        path = folder / "annotations" / f"instances_{split}2017.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    return folder


def add(content, image, record):
    content["annotations"].append({"id": len(content["annotations"]), "image_id": image, **record})


def categories():
    return [{"id": identity, "name": name} for identity, name in zip(IDENTITIES, CLASSES, strict=True)]
